// OPT (arXiv 2205.01068), the network of GPTQ's and ZeroQuant's tables: pre-norm blocks with LayerNorm, biases on every
// linear, learned positions, ReLU between two feed-forward matrices; a head tied to the embedding or not.
// In: config.json. Out: hyper-parameters, weight rows and steps. Must not know bytes or kernels. OPT-350M, whose blocks
// are post-norm and whose embedding is narrower than they are, is refused.
#include "core/base/status.h"
#include "core/model/arch_biased.h"
#include "core/model/config_reader.h"

namespace gq {
namespace {

constexpr uint32_t first_position = 2;  // the table's row of position 0

using namespace parts;

size_t positions(const HyperParams& p) {
    return p.context + first_position;
}

constexpr WeightRow block_weights[] = {
    vector_row("attn_norm", "model.decoder.layers.{}.self_attn_layer_norm.weight", hidden),
    vector_row("attn_norm_bias", "model.decoder.layers.{}.self_attn_layer_norm.bias", hidden),
    linear_row("attn_q", "model.decoder.layers.{}.self_attn.q_proj.weight", q_width, hidden),
    vector_row("attn_q_bias", "model.decoder.layers.{}.self_attn.q_proj.bias", q_width),
    linear_row("attn_k", "model.decoder.layers.{}.self_attn.k_proj.weight", kv_width, hidden),
    vector_row("attn_k_bias", "model.decoder.layers.{}.self_attn.k_proj.bias", kv_width),
    linear_row("attn_v", "model.decoder.layers.{}.self_attn.v_proj.weight", kv_width, hidden),
    vector_row("attn_v_bias", "model.decoder.layers.{}.self_attn.v_proj.bias", kv_width),
    linear_row("attn_o", "model.decoder.layers.{}.self_attn.out_proj.weight", hidden, q_width),
    vector_row("attn_o_bias", "model.decoder.layers.{}.self_attn.out_proj.bias", hidden),
    vector_row("ffn_norm", "model.decoder.layers.{}.final_layer_norm.weight", hidden),
    vector_row("ffn_norm_bias", "model.decoder.layers.{}.final_layer_norm.bias", hidden),
    linear_row("ffn_up", "model.decoder.layers.{}.fc1.weight", ffn, hidden),
    vector_row("ffn_up_bias", "model.decoder.layers.{}.fc1.bias", ffn),
    linear_row("ffn_down", "model.decoder.layers.{}.fc2.weight", hidden, ffn),
    vector_row("ffn_down_bias", "model.decoder.layers.{}.fc2.bias", hidden),
};

enum OuterRole : RoleId { position_table, final_norm, final_norm_bias };

constexpr WeightRow outer_weights[] = {
    {"positions", "model.decoder.embed_positions.weight", "", WeightKind::table, RowOrder::same, positions, hidden},
    vector_row("final_norm", "model.decoder.final_layer_norm.weight", hidden),
    vector_row("final_norm_bias", "model.decoder.final_layer_norm.bias", hidden),
};

constexpr const char* hugging_face_classes[] = {"OPTForCausalLM"};

// What a config of this name may ask for and this network does not do: refused, not read as another model.
void refuse_variants(const ConfigReader& config) {
    const std::string activation = config.text("activation_function", "relu");
    if (activation != "relu")
        fail(Status::unsupported, "config.json: activation_function '%s', expected 'relu'", activation.c_str());
    const size_t hidden = config.size("hidden_size"), embedded = config.size("word_embed_proj_dim", hidden);
    if (embedded != hidden)
        fail(Status::unsupported, "config.json: word_embed_proj_dim %zu, expected hidden_size %zu", embedded, hidden);
    for (const char* key : {"do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"})
        if (!config.flag(key, true)) fail(Status::unsupported, "config.json: %s false, expected true", key);
    if (config.flag("_remove_final_layer_norm", false))
        fail(Status::unsupported, "config.json: _remove_final_layer_norm true, expected false");
}

HyperParams read_hugging_face(const JsonValue& json) {
    const ConfigReader config(json, "config.json");
    refuse_variants(config);
    HyperParams p;
    p.vocab = config.size("vocab_size");
    p.hidden = config.size("hidden_size");
    p.ffn = config.size("ffn_dim");
    p.n_layers = config.size("num_hidden_layers");
    p.context = config.size("max_position_embeddings");
    p.norm_eps = 1e-5;  // torch's own, which no config changes
    p.tied_head = config.flag("tie_word_embeddings", true);
    divide_hidden(p, config.size("num_attention_heads"));
    return p;
}

Network build(const HyperParams& p) {
    Network net = biased_network(p, attention_shape(p), Op::relu, final_norm, final_norm_bias);
    net.prologue.steps = {
        {.op = Op::position, .out = delta, .weight = position_table, .first_row = first_position},
        {.op = Op::add, .in = {residual, delta}, .out = residual},
    };
    net.most_positions = p.context;
    return net;
}

}  // namespace

extern const Arch arch_opt{
    .name = "opt",
    .hugging_face_classes = hugging_face_classes,
    .gguf_names = {},
    .read_hugging_face = read_hugging_face,
    .read_gguf = nullptr,
    .block_weights = block_weights,
    .embedding = linear_row("embedding", "model.decoder.embed_tokens.weight", vocab, hidden),
    .head = linear_row("head", "lm_head.weight", vocab, hidden),
    .outer_weights = outer_weights,
    .head_turn = {},
    .spare_tensors = {},
    .hugging_face_prefix = "model.",
    .build = build,
};

}  // namespace gq
