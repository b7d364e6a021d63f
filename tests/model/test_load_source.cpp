// A float checkpoint as the quantizer sees it: both formats' names, tensors that no weight claims, rotary settings that
// would be ignored.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/base/status.h"
#include "core/model/model.h"
#include "formats/format_error.h"

namespace {

using namespace gq;

// Tensors with shapes, which is what SourceModel's checks look at, and no bytes unless somebody gives them some.
class MadeCheckpoint final : public Checkpoint {
  public:
    MadeCheckpoint(Kind kind, JsonValue metadata) : kind_(kind), metadata_(std::move(metadata)) {}
    void add(const std::string& name, std::vector<size_t> shape) {
        tensors_.push_back(
            {.name = name, .type = ElementType::f32, .shape = std::move(shape), .bytes = {}, .where = "byte 7"});
    }
    // Gives a matrix its values: each is the number of its row.
    void number_rows(const std::string& name) {
        for (SourceTensor& tensor : tensors_) {
            if (tensor.name != name) continue;
            const size_t cols = tensor.shape.at(1);
            values_.emplace_back(tensor.shape[0] * cols);
            for (size_t i = 0; i < values_.back().size(); ++i) values_.back()[i] = static_cast<float>(i / cols);
            tensor.bytes = std::as_bytes(std::span(values_.back()));
        }
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
    std::vector<std::vector<float>> values_;  // whose buffers stay where they are when the list grows
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
    for (const WeightRow& row : arch.outer_weights) add(row, "");
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

    TEST_CASE("rows of queries and keys come in halves, whichever way the format pairs them") {
        // GGUF's rows 2i and 2i + 1 of a head of 4 turn together; ours are i and i + 2.
        const std::vector<float> as_stored = {0, 1, 2, 3, 4, 5, 6, 7}, unpaired = {0, 2, 1, 3, 4, 6, 5, 7};
        const Arch& arch = *find_arch("llama");
        for (const auto kind : {hugging_face, gguf}) {
            for (const WeightRow& row : arch.block_weights) {
                const std::string role = row.role;
                if (role != "attn_q" && role != "attn_k" && role != "attn_v") continue;
                MadeCheckpoint made = small_llama(kind);
                std::string name = kind == gguf ? row.gguf : row.hugging_face;
                made.number_rows(name.replace(name.find("{}"), 2, "1"));
                const AlignedBuffer<float> values = SourceModel(made).read(row, 1);
                REQUIRE(values.size() == 8 * 8);
                std::vector<float> rows;
                for (size_t i = 0; i < values.size(); i += 8) {
                    rows.push_back(values[i]);
                    CHECK(std::count(&values[i], &values[i] + 8, values[i]) == 8);
                }
                CAPTURE(role);
                CHECK(rows == (kind == gguf && role != "attn_v" ? unpaired : as_stored));
            }
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
