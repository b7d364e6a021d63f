// A float checkpoint as the quantizer sees it: both formats' names, tensors that no weight claims, rotary settings that
// would be ignored.
#include <doctest/doctest.h>

#include "core/base/status.h"
#include "core/model/model.h"
#include "formats/format_error.h"

namespace {

using namespace gq;

// Tensors with shapes and no bytes: what SourceModel's checks look at.
class MadeCheckpoint final : public Checkpoint {
  public:
    MadeCheckpoint(Kind kind, JsonValue metadata) : kind_(kind), metadata_(std::move(metadata)) {}
    void add(const std::string& name, std::vector<size_t> shape) {
        tensors_.push_back(
            {.name = name, .type = ElementType::f32, .shape = std::move(shape), .bytes = {}, .where = "byte 7"});
    }
    Kind kind() const override { return kind_; }
    std::filesystem::path path() const override { return "made"; }
    const JsonValue& metadata() const override { return metadata_; }
    std::span<const SourceTensor> tensors() const override { return tensors_; }
    void forget(const SourceTensor&) const override {}

  private:
    Kind kind_;
    JsonValue metadata_;
    std::vector<SourceTensor> tensors_;
};

constexpr const char* small_config = R"({"config": {"architectures": ["LlamaForCausalLM"], "vocab_size": 10,
    "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "tie_word_embeddings": true, EXTRA "rope_theta": THETA}})";
constexpr const char* small_gguf = R"({"general.architecture": "llama", "llama.embedding_length": 8,
    "llama.feed_forward_length": 16, "llama.block_count": 2, "llama.attention.head_count": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5, EXTRA "llama.rope.freq_base": THETA})";

// Two layers, tied, with every weight of the Llama family; extra: members of the configuration, each with a comma.
MadeCheckpoint small_llama(Checkpoint::Kind kind, const std::string& extra = "", const std::string& theta = "100.0") {
    const bool gguf = kind == Checkpoint::Kind::gguf;
    std::string json = gguf ? small_gguf : small_config;
    json.replace(json.find("EXTRA"), 5, extra);
    json.replace(json.find("THETA"), 5, theta);
    MadeCheckpoint made(kind, parse_json(json, "test"));
    HyperParams p;
    p.vocab = 10;
    p.hidden = 8;
    p.ffn = 16;
    p.n_heads = p.n_kv_heads = 2;
    p.head_dim = 4;
    const auto add = [&](const WeightRow& row, const std::string& layer) {
        std::string name = gguf ? row.gguf : row.hugging_face;
        if (const size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, layer);
        if (row.kind == WeightKind::vector)
            made.add(name, {row.cols(p)});
        else
            made.add(name, {row.rows(p), row.cols(p)});
    };
    const Arch& arch = *find_arch("llama");
    add(arch.embedding, "");
    add(arch.final_norm, "");
    for (const char* layer : {"0", "1"})
        for (const WeightRow& row : arch.block_weights) add(row, layer);
    return made;
}

void check_refused(const MadeCheckpoint& made, const std::string& words) {
    CHECK_THROWS_WITH_AS(SourceModel{made}, doctest::Contains(words.c_str()), Error);
}

constexpr auto hugging_face = Checkpoint::Kind::hugging_face, gguf = Checkpoint::Kind::gguf;

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("a checkpoint of exactly the family's weights opens, in both formats") {
        for (const auto kind : {hugging_face, gguf}) {
            const MadeCheckpoint made = small_llama(kind);
            CHECK(SourceModel(made).params().tied_head);
        }
    }

    TEST_CASE("a tensor that no weight claims is refused by name") {
        const std::pair<Checkpoint::Kind, const char*> strangers[] = {
            {hugging_face, "model.layers.1.self_attn.q_proj.bias"},
            {hugging_face, "model.layers.0.self_attn.o_proj.bias"},
            {hugging_face, "model.layers.0.self_attn.q_norm.weight"},
            {hugging_face, "model.layers.2.mlp.up_proj.weight"},
            {gguf, "blk.0.attn_q.bias"},
            {gguf, "blk.1.attn_output.bias"},
            {gguf, "blk.2.ffn_up.weight"},
        };
        for (const auto& [kind, name] : strangers) {
            MadeCheckpoint made = small_llama(kind);
            made.add(name, {8});
            check_refused(
                made, "made: tensor '" + std::string(name) + "' at byte 7 has no place in a llama network of 2 layers");
        }
    }

    TEST_CASE("what is no weight may be there") {
        MadeCheckpoint folder = small_llama(hugging_face);
        folder.add("model.layers.1.self_attn.rotary_emb.inv_freq", {2});
        folder.add("lm_head.weight", {10, 8});  // of a tied model: the embedding again
        CHECK(SourceModel(folder).params().n_layers == 2);
        MadeCheckpoint file = small_llama(gguf);
        file.add("blk.0.attn_rot_embd.weight", {2});
        CHECK(SourceModel(file).params().n_layers == 2);
    }

    TEST_CASE("heads that are turned in part are refused") {
        check_refused(small_llama(gguf, "\"llama.rope.dimension_count\": 2,"),
                      "llama.rope.dimension_count 2, expected 4");
        check_refused(small_llama(hugging_face, "\"partial_rotary_factor\": 0.5,"),
                      "partial_rotary_factor 0.5, expected 1");
        CHECK(SourceModel(small_llama(gguf, "\"llama.rope.dimension_count\": 4,")).params().head_dim == 4);
    }

    TEST_CASE("a size out of range is refused before anything is computed from it") {
        check_refused(small_llama(hugging_face, "\"head_dim\": 4000000000,"),
                      "model: head_dim expected in 2 … 4096, found 4000000000");
        check_refused(small_llama(gguf, "\"llama.attention.key_length\": 4000000000,"),
                      "model: head_dim expected in 2 … 4096, found 4000000000");
    }

    TEST_CASE("rotary settings that cannot be are named") {
        check_refused(small_llama(hugging_face, "", "-5"),
                      "config.json: rope_theta: expected a finite number > 0, found -5");
        check_refused(small_llama(gguf, "", "0"),
                      "GGUF metadata: llama.rope.freq_base: expected a finite number > 0, found 0");
        const MadeCheckpoint list = small_llama(hugging_face, "\"rope_parameters\": [1],");
        CHECK_THROWS_WITH_AS(SourceModel{list}, "config.json: rope_parameters: expected an object, found an array",
                             FormatError);
        CHECK(SourceModel(small_llama(hugging_face, "\"rope_parameters\": null,")).params().head_dim == 4);
    }

    TEST_CASE("linear scaling divides all frequencies, in both formats, and its factor is checked") {
        const auto scaled = [](const char* factor) {
            return std::pair{
                small_llama(hugging_face,
                            std::string(R"("rope_scaling": {"type": "linear", "factor": )") + factor + "},"),
                small_llama(gguf, std::string(R"("llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": )") +
                                      factor + ",")};
        };
        const auto [folder, file] = scaled("4");
        // theta 100, head_dim 4: 1 and 1/10, divided by 4.
        const std::vector<float> expected = {0.25f, 0.025f};
        CHECK(SourceModel(folder).params().rope_inv_freq == expected);
        CHECK(SourceModel(file).params().rope_inv_freq == expected);
        const auto [bad_folder, bad_file] = scaled("0.5");
        check_refused(bad_folder, "factor 0.5, expected at least 1");
        check_refused(bad_file, "llama.rope.scaling.factor 0.5, expected at least 1");
    }
}
