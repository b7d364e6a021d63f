// BLOOM (arXiv 2211.05100), the other network of GPTQ's and ZeroQuant's tables: pre-norm blocks with LayerNorm, biases
// on every linear, ALiBi in the place of positions, GELU, a LayerNorm on the embedding, which is the head as well.
// In: config.json. Out: hyper-parameters, weight rows and steps. Must not know bytes or kernels. Queries, keys and
// values of a head stand one after another in one tensor of the checkpoint, and apart in a .gq.
#include "core/base/status.h"
#include "core/model/arch_biased.h"
#include "core/model/config_reader.h"

namespace gq {
namespace {

using namespace parts;

constexpr size_t ffn_ratio = 4;  // which no config changes
constexpr HeadPart q_part{0, 3}, k_part{1, 3}, v_part{2, 3};

constexpr char qkv[] = "transformer.h.{}.self_attention.query_key_value.weight",
               qkv_bias[] = "transformer.h.{}.self_attention.query_key_value.bias";

constexpr WeightRow block_weights[] = {
    vector_row("attn_norm", "transformer.h.{}.input_layernorm.weight", hidden),
    vector_row("attn_norm_bias", "transformer.h.{}.input_layernorm.bias", hidden),
    linear_row("attn_q", qkv, q_width, hidden, q_part),
    vector_row("attn_q_bias", qkv_bias, q_width, q_part),
    linear_row("attn_k", qkv, kv_width, hidden, k_part),
    vector_row("attn_k_bias", qkv_bias, kv_width, k_part),
    linear_row("attn_v", qkv, kv_width, hidden, v_part),
    vector_row("attn_v_bias", qkv_bias, kv_width, v_part),
    linear_row("attn_o", "transformer.h.{}.self_attention.dense.weight", hidden, q_width),
    vector_row("attn_o_bias", "transformer.h.{}.self_attention.dense.bias", hidden),
    vector_row("ffn_norm", "transformer.h.{}.post_attention_layernorm.weight", hidden),
    vector_row("ffn_norm_bias", "transformer.h.{}.post_attention_layernorm.bias", hidden),
    linear_row("ffn_up", "transformer.h.{}.mlp.dense_h_to_4h.weight", ffn, hidden),
    vector_row("ffn_up_bias", "transformer.h.{}.mlp.dense_h_to_4h.bias", ffn),
    linear_row("ffn_down", "transformer.h.{}.mlp.dense_4h_to_h.weight", hidden, ffn),
    vector_row("ffn_down_bias", "transformer.h.{}.mlp.dense_4h_to_h.bias", hidden),
};

enum OuterRole : RoleId { embedding_norm, embedding_norm_bias, final_norm, final_norm_bias };

constexpr WeightRow outer_weights[] = {
    vector_row("embedding_norm", "transformer.word_embeddings_layernorm.weight", hidden),
    vector_row("embedding_norm_bias", "transformer.word_embeddings_layernorm.bias", hidden),
    vector_row("final_norm", "transformer.ln_f.weight", hidden),
    vector_row("final_norm_bias", "transformer.ln_f.bias", hidden),
};

constexpr const char* hugging_face_classes[] = {"BloomForCausalLM"};

HyperParams read_hugging_face(const JsonValue& json) {
    const ConfigReader config(json, "config.json");
    if (config.flag("apply_residual_connection_post_layernorm", false))
        fail(Status::unsupported, "config.json: apply_residual_connection_post_layernorm true, expected false");
    const auto size = [&](const char* key, const char* older) { return config.size(config.has(key) ? key : older); };
    HyperParams p;
    p.vocab = config.size("vocab_size");
    p.hidden = size("hidden_size", "n_embed");
    p.ffn = ffn_ratio * p.hidden;
    p.n_layers = size("n_layer", "num_hidden_layers");
    p.context = config.size("seq_length", 2048);
    p.norm_eps = config.number("layer_norm_epsilon", 1e-5);
    p.tied_head = config.flag("tie_word_embeddings", true);
    divide_hidden(p, size("n_head", "num_attention_heads"));
    return p;
}

Network build(const HyperParams& p) {
    AttentionShape shape = attention_shape(p);
    shape.alibi = true;
    Network net = biased_network(p, shape, Op::gelu, final_norm, final_norm_bias);
    add_layer_norm(net.prologue.steps, residual, embedding_norm, embedding_norm_bias);
    net.prologue.steps.back().out = residual;
    return net;
}

}  // namespace

extern const Arch arch_bloom{
    .name = "bloom",
    .hugging_face_classes = hugging_face_classes,
    .gguf_names = {},
    .read_hugging_face = read_hugging_face,
    .read_gguf = nullptr,
    .block_weights = block_weights,
    .embedding = linear_row("embedding", "transformer.word_embeddings.weight", vocab, hidden),
    .head = linear_row("head", "lm_head.weight", vocab, hidden),
    .outer_weights = outer_weights,
    .head_turn = {},
    .spare_tensors = {},
    .hugging_face_prefix = "transformer.",
    .build = build,
};

}  // namespace gq
