// OPT: what of its configs is refused, where its learned positions end, and that a recipe's rotation gives way to its
// LayerNorms. In: the committed tiny OPT, configs made here. Its logits are in test_goldens.cpp, its gradients in
// test_backward.cpp.
#include <doctest/doctest.h>

#include "core/quantize/recipe.h"
#include "core/runtime/session.h"
#include "tests/error_of.h"
#include "tests/metadata_only.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using gq::test::error_of;

namespace {

// The tiny OPT's config with one more key in front, which a config may not have twice.
std::string refusal_of(const std::string& key, const std::string& value) {
    JsonValue config;
    const JsonValue given = parse_json(file_bytes(golden_path("tiny_opt/config.json")), "config.json");
    for (const auto& [name, member] : given.as_object("config.json"))
        if (name != key) config.set(name, member);
    config.set(key, parse_json(value, "value"));
    return error_of([&] { find_arch("opt")->read_hugging_face(config); });
}

bool has(const std::string& text, const std::string& words) {
    INFO(text);
    return text.find(words) != std::string::npos;
}

std::vector<BatchRow> rows_of(SequenceId sequence, int32_t begin, int32_t end) {
    std::vector<BatchRow> rows;
    for (int32_t i = begin; i < end; ++i) rows.push_back({sequence, i, i % 250, i + 1 == end});
    return rows;
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("OPT: a config that asks for another network is refused by the key that does") {
        CHECK(has(refusal_of("word_embed_proj_dim", "32"), "word_embed_proj_dim 32, expected hidden_size 64"));
        CHECK(has(refusal_of("do_layer_norm_before", "false"), "do_layer_norm_before false, expected true"));
        CHECK(has(refusal_of("enable_bias", "false"), "enable_bias false, expected true"));
        CHECK(has(refusal_of("layer_norm_elementwise_affine", "false"), "layer_norm_elementwise_affine false"));
        CHECK(has(refusal_of("_remove_final_layer_norm", "true"), "_remove_final_layer_norm true, expected false"));
        CHECK(has(refusal_of("activation_function", "\"gelu\""), "activation_function 'gelu', expected 'relu'"));
        CHECK(has(refusal_of("num_attention_heads", "6"), "hidden_size 64 is no multiple of num_attention_heads 6"));
        CHECK(refusal_of("dropout", "0.1") == "no error");
    }

    TEST_CASE("a sequence ends where the learned positions do, whatever the context holds") {
        const TemporaryPath path("opt_positions.gq");
        QuantizeOptions options = tiny_options(4);
        options.method = Method::rtn;
        quantize_tiny("opt", path.path(), options);
        const auto loaded = LoadedModel::open(path.path(), true);
        ThreadPool pool(2);
        Session session(loaded->model, {pool, kernel_table()}, {.context = 1024});
        session.decode(rows_of(0, 0, 255));
        CHECK(session.has_room(0, 1));
        session.decode(rows_of(0, 255, 256));
        CHECK(session.n_logits() == 1);
        CHECK_FALSE(session.has_room(0, 1));
        CHECK(has(error_of([&] { session.decode(rows_of(0, 256, 257)); }),
                  "sequence 0 would hold 257 tokens, the model's table of positions holds 256"));
        session.decode(rows_of(1, 0, 256));  // another sequence has them all again
        CHECK(session.length(1) == 256);
    }

    TEST_CASE("calibration windows longer than the learned positions are refused") {
        QuantizeOptions options = tiny_options(4);
        options.window = 257;
        const Refusal refusal = refuse(golden_path("tiny_opt"), options);
        CHECK(refusal.says("position 256: this model has learned 256 positions and no more"));
    }

    TEST_CASE(
        "a recipe goes without its rotation where there are LayerNorms, and says so; asked for alone it is refused") {
        QuantizeOptions options = with_recipe(recipe_of("rotate"), tiny_options(4));
        REQUIRE(options.rotate);
        const TemporaryPath found("opt_rotate.gq"), expected("opt_qep.gq");
        quantize_tiny("opt", found.path(), options);
        const GqFile file(found.path());
        const JsonValue provenance = provenance_of(file);
        CHECK(provenance.at("note", "provenance").as_string("note") ==
              "recipe rotate without its rotation: rotation: this architecture has LayerNorms, with a mean, which does "
              "not commute with a rotation");
        CHECK_FALSE(provenance.at("options", "provenance").at("rotate", "options").as_bool("rotate"));
        quantize_tiny("opt", expected.path(), with_recipe(recipe_of("qep"), tiny_options(4)));
        const GqFile qep(expected.path());
        REQUIRE(file.tensors().size() == qep.tensors().size());
        for (const GqTensor& tensor : file.tensors()) {
            const GqTensor* other = qep.find(tensor.name);
            REQUIRE(other);
            REQUIRE(tensor.parts.size() == other->parts.size());
            for (size_t i = 0; i < tensor.parts.size(); ++i) {
                CAPTURE(tensor.name);
                CHECK(std::equal(tensor.parts[i].bytes.begin(), tensor.parts[i].bytes.end(),
                                 other->parts[i].bytes.begin(), other->parts[i].bytes.end()));
            }
        }
        options.recipe = "plain";
        CHECK(refuse(golden_path("tiny_opt"), options).says("which does not commute with a rotation"));
    }
}
