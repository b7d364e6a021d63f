// The Llama family: Llama 2 and 3, Mistral (with its sliding window), SmolLM2, TinyLlama and their like.
// Pre-norm blocks, rotary positions in half-split order, grouped query attention, gated SiLU; embedding tied to the
// head or not. In: config.json or GGUF metadata. Out: hyper-parameters, weight rows and steps. Must not know bytes or
// kernels.
#include <cmath>
#include <numbers>

#include "core/base/status.h"
#include "core/model/arch_parts.h"
#include "core/model/config_reader.h"

namespace gq {
namespace {

using namespace parts;

enum Role : RoleId { attn_norm, attn_q, attn_k, attn_v, attn_o, ffn_norm, ffn_gate, ffn_up, ffn_down };

constexpr WeightRow block_weights[] = {
    {"attn_norm", "model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", WeightKind::vector,
     RowOrder::same, one, hidden},
    {"attn_q", "model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", WeightKind::linear,
     RowOrder::rope_pairs, q_width, hidden},
    {"attn_k", "model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", WeightKind::linear,
     RowOrder::rope_pairs, kv_width, hidden},
    {"attn_v", "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", WeightKind::linear, RowOrder::same,
     kv_width, hidden},
    {"attn_o", "model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", WeightKind::linear,
     RowOrder::same, hidden, q_width},
    {"ffn_norm", "model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", WeightKind::vector,
     RowOrder::same, one, hidden},
    {"ffn_gate", "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", WeightKind::linear, RowOrder::same,
     ffn, hidden},
    {"ffn_up", "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", WeightKind::linear, RowOrder::same, ffn,
     hidden},
    {"ffn_down", "model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", WeightKind::linear, RowOrder::same,
     hidden, ffn},
};

enum OuterRole : RoleId { final_norm, head_turn };

constexpr WeightRow outer_weights[] = {
    {"final_norm", "model.norm.weight", "output_norm.weight", WeightKind::vector, RowOrder::same, one, hidden},
};

constexpr const char* hugging_face_classes[] = {"LlamaForCausalLM", "MistralForCausalLM"};
constexpr const char* gguf_names[] = {"llama"};
// What older converters store of the rotary positions, which follow from the hyper-parameters; rope_freqs.weight is
// read with them.
constexpr const char* spare_tensors[] = {"model.layers.{}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq",
                                         "rope_freqs.weight", "blk.{}.attn_rot_embd.weight"};

// key: where theta was read.
std::vector<float> plain_frequencies(double theta, const char* key, size_t head_dim) {
    if (!(theta > 0) || std::isinf(theta))
        fail(Status::bad_file, "%s: expected a finite number > 0, found %g", key, theta);
    std::vector<float> freq(head_dim / 2);
    for (size_t i = 0; i < freq.size(); ++i)
        freq[i] = static_cast<float>(1.0 / std::pow(theta, static_cast<double>(2 * i) / static_cast<double>(head_dim)));
    return freq;
}

// Llama 3.1's stretching: long wavelengths are divided by `factor`, short ones kept, those between blended.
void stretch_llama3(std::vector<float>& freq, const ConfigReader& scaling) {
    const double factor = scaling.number("factor"), low = scaling.number("low_freq_factor"),
                 high = scaling.number("high_freq_factor");
    const double trained = scaling.number("original_max_position_embeddings");
    if (!(factor >= 1) || !(high > low) || !(low > 0) || !(trained > 0))
        fail(Status::bad_file,
             "%s: factor %g, low_freq_factor %g, high_freq_factor %g are not an ascending llama3 scaling",
             scaling.where().c_str(), factor, low, high);
    for (float& f : freq) {
        const double turns = trained * f / (2 * std::numbers::pi);  // over the trained context
        const double blend = std::fmin(1, std::fmax(0, (turns - low) / (high - low)));
        f = static_cast<float>(f * ((1 - blend) / factor + blend));
    }
}

void divide_all(std::vector<float>& freq, const ConfigReader& config, const char* key) {
    const double factor = config.number(key);
    if (!(factor >= 1)) fail(Status::bad_file, "%s: %s %g, expected at least 1", config.where().c_str(), key, factor);
    for (float& f : freq) f = static_cast<float>(f / factor);
}

void scale_linear(std::vector<float>& freq, const ConfigReader& scaling) {
    divide_all(freq, scaling, "factor");
}

void keep(std::vector<float>&, const ConfigReader&) {}

struct RopeScaling {
    const char* name;
    void (*apply)(std::vector<float>& freq, const ConfigReader& scaling);
};
constexpr RopeScaling rope_scalings[] = {
    {"default", keep}, {"none", keep}, {"linear", scale_linear}, {"llama3", stretch_llama3}};

void apply_rope_scaling(std::vector<float>& freq, const ConfigReader& scaling, const std::string& type) {
    for (const RopeScaling& known : rope_scalings)
        if (type == known.name) return known.apply(freq, scaling);
    fail(Status::unsupported, "%s: RoPE scaling '%s' is not supported; known: default, linear, llama3",
         scaling.where().c_str(), type.c_str());
}

// transformers 5 writes rope_parameters {rope_theta, rope_type, …}, earlier ones rope_theta beside rope_scaling.
std::vector<float> rope_from_config(const ConfigReader& config, size_t head_dim) {
    const ConfigReader parameters = config.child(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
    const double theta = parameters.number("rope_theta", config.number("rope_theta", 10000.0));
    const double rotated = parameters.number("partial_rotary_factor", config.number("partial_rotary_factor", 1));
    if (rotated != 1)
        fail(Status::unsupported, "config.json: partial_rotary_factor %g, expected 1: whole heads are turned", rotated);
    std::vector<float> freq = plain_frequencies(theta, "config.json: rope_theta", head_dim);
    const std::string type = parameters.text("rope_type", parameters.text("type", "default").c_str());
    apply_rope_scaling(freq, parameters, type);
    return freq;
}

HyperParams read_hugging_face(const JsonValue& json) {
    const ConfigReader config(json, "config.json");
    if (config.flag("attention_bias", false) || config.flag("mlp_bias", false))
        fail(Status::unsupported,
             "config.json: attention_bias / mlp_bias true is not supported by the llama family here");
    const std::string activation = config.text("hidden_act", "silu");
    if (activation != "silu")
        fail(Status::unsupported, "config.json: hidden_act '%s', expected 'silu'", activation.c_str());
    HyperParams p;
    p.vocab = config.size("vocab_size");
    p.hidden = config.size("hidden_size");
    p.ffn = config.size("intermediate_size");
    p.n_layers = config.size("num_hidden_layers");
    p.n_heads = config.size("num_attention_heads");
    p.n_kv_heads = config.size("num_key_value_heads", p.n_heads);
    p.head_dim = config.size("head_dim", p.n_heads > 0 ? p.hidden / p.n_heads : 0);
    p.context = config.size("max_position_embeddings", 2048);
    p.sliding_window = config.flag("use_sliding_window", true) ? config.size("sliding_window", 0) : 0;
    p.norm_eps = config.number("rms_norm_eps", 1e-6);
    p.tied_head = config.flag("tie_word_embeddings", false);
    p.check_sizes();
    p.rope_inv_freq = rope_from_config(config, p.head_dim);
    return p;
}

// GGUF folds llama3 scaling into the tensor rope_freqs.weight: a divisor for each frequency.
std::vector<float> rope_from_gguf(const ConfigReader& config, const Checkpoint& checkpoint, size_t head_dim) {
    const double theta = config.number("llama.rope.freq_base", 10000.0);
    std::vector<float> freq = plain_frequencies(theta, "GGUF metadata: llama.rope.freq_base", head_dim);
    const SourceTensor* divisors = checkpoint.find("rope_freqs.weight");
    if (divisors) {
        if (divisors->shape != std::vector<size_t>{freq.size()})
            fail(Status::bad_file, "rope_freqs.weight: %zu values expected at %s", freq.size(),
                 divisors->where.c_str());
        std::vector<float> values(freq.size());
        Checkpoint::read_rows(*divisors, 0, freq.size(), values.data());
        for (size_t i = 0; i < freq.size(); ++i) freq[i] /= values[i];
    }
    const std::string type = config.text("llama.rope.scaling.type", "none");
    if (type == "linear") {
        divide_all(freq, config, "llama.rope.scaling.factor");
    } else if (type != "none") {
        fail(Status::unsupported, "llama.rope.scaling.type '%s' is not supported; known: none, linear", type.c_str());
    }
    return freq;
}

// What a GGUF file of this name may ask for and this network does not do: refused, not read as another model.
void refuse_variants(const ConfigReader& config, size_t head_dim) {
    const size_t rotated = config.size("llama.rope.dimension_count", head_dim);
    if (rotated != head_dim)
        fail(Status::unsupported, "GGUF metadata: llama.rope.dimension_count %zu, expected %zu: whole heads are turned",
             rotated, head_dim);
    const double scale = config.number("llama.rope.scale_linear", 1.0);
    if (scale != 1)
        fail(Status::unsupported,
             "GGUF metadata: llama.rope.scale_linear, a key of old converters, expected 1, found %g", scale);
    if (config.size("llama.expert_count", 0) > 0)
        fail(Status::unsupported, "GGUF metadata: llama.expert_count: mixtures of experts are not supported");
}

HyperParams read_gguf(const Checkpoint& checkpoint) {
    const ConfigReader config(checkpoint.metadata(), "GGUF metadata");
    HyperParams p;
    p.hidden = config.size("llama.embedding_length");
    p.ffn = config.size("llama.feed_forward_length");
    p.n_layers = config.size("llama.block_count");
    p.n_heads = config.size("llama.attention.head_count");
    p.n_kv_heads = config.size("llama.attention.head_count_kv", p.n_heads);
    p.head_dim = config.size("llama.attention.key_length", p.n_heads > 0 ? p.hidden / p.n_heads : 0);
    p.context = config.size("llama.context_length", 2048);
    p.sliding_window = config.size("llama.attention.sliding_window", 0);
    p.norm_eps = config.number("llama.attention.layer_norm_rms_epsilon");
    p.tied_head = checkpoint.find("output.weight") == nullptr;
    refuse_variants(config, p.head_dim);
    const SourceTensor* embedding = checkpoint.find("token_embd.weight");
    if (!embedding || embedding->shape.empty())
        fail(Status::bad_file, "token_embd.weight: expected (vocabulary, %zu), not found", p.hidden);
    p.vocab = embedding->shape[0];
    p.check_sizes();
    p.rope_inv_freq = rope_from_gguf(config, checkpoint, p.head_dim);
    return p;
}

enum Slots : SlotId { x, normed, q, k, v, mixed, delta, gate, up };

StepList block_steps(const HyperParams& p) {
    const auto heads = [](size_t n) { return static_cast<uint32_t>(n); };
    StepList list;
    list.steps = {
        {.op = Op::rms_norm, .in = {x}, .out = normed, .weight = attn_norm},
        {.op = Op::linear, .in = {normed}, .out = q, .weight = attn_q},
        {.op = Op::linear, .in = {normed}, .out = k, .weight = attn_k},
        {.op = Op::linear, .in = {normed}, .out = v, .weight = attn_v},
        {.op = Op::rope, .in = {q}, .out = q, .heads = heads(p.n_heads)},
        {.op = Op::rope, .in = {k}, .out = k, .heads = heads(p.n_kv_heads)},
        {.op = Op::attention, .in = {q, k, v}, .out = mixed, .attention = attention_shape(p)},
        {.op = Op::linear, .in = {mixed}, .out = delta, .weight = attn_o},
        {.op = Op::add, .in = {x, delta}, .out = x},
        {.op = Op::rms_norm, .in = {x}, .out = normed, .weight = ffn_norm},
        {.op = Op::linear, .in = {normed}, .out = gate, .weight = ffn_gate},
        {.op = Op::linear, .in = {normed}, .out = up, .weight = ffn_up},
        {.op = Op::silu_mul, .in = {gate, up}, .out = gate},
        {.op = Op::linear, .in = {gate}, .out = delta, .weight = ffn_down},
        {.op = Op::add, .in = {x, delta}, .out = x},
    };
    list.cut_into_stages();
    return list;
}

Network build(const HyperParams& p) {
    if (p.rope_inv_freq.empty())
        fail(Status::bad_file, "model: rope_inv_freq: %zu values expected in a llama network, none found",
             p.head_dim / 2);
    Network net;
    net.slots = {{"residual", p.hidden}, {"normed", p.hidden}, {"q", q_width(p)},
                 {"k", kv_width(p)},     {"v", kv_width(p)},   {"mixed", q_width(p)},
                 {"delta", p.hidden},    {"gate", p.ffn},      {"up", p.ffn}};
    net.residual = x;
    net.blocks.assign(p.n_layers, block_steps(p));
    net.selected = delta;
    net.head_input = normed;
    net.epilogue.steps = {{.op = Op::rms_norm, .in = {delta}, .out = normed, .weight = final_norm}};
    if (p.head_turn) {
        net.epilogue.steps.push_back({.op = Op::linear, .in = {normed}, .out = delta, .weight = head_turn});
        net.head_input = delta;
    }
    net.norm_eps = static_cast<float>(p.norm_eps);
    net.head_dim = p.head_dim;
    net.rope_inv_freq = p.rope_inv_freq;
    return net;
}

}  // namespace

extern const Arch arch_llama{
    .name = "llama",
    .hugging_face_classes = hugging_face_classes,
    .gguf_names = gguf_names,
    .read_hugging_face = read_hugging_face,
    .read_gguf = read_gguf,
    .block_weights = block_weights,
    .embedding = {"embedding", "model.embed_tokens.weight", "token_embd.weight", WeightKind::linear, RowOrder::same,
                  vocab, hidden},
    .head = {"head", "lm_head.weight", "output.weight", WeightKind::linear, RowOrder::same, vocab, hidden},
    .outer_weights = outer_weights,
    .head_turn = {"head_turn", "", "", WeightKind::linear, RowOrder::same, hidden, hidden},
    .spare_tensors = spare_tensors,
    .hugging_face_prefix = {},
    .build = build,
};

}  // namespace gq
