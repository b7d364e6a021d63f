// Opening a .gq: what is missing, unknown, of the wrong shape or out of its range is refused by name; one case per kind
// of damage, each the smallest good file with one change.
#include <doctest/doctest.h>

#include <functional>

#include "core/base/status.h"
#include "formats/format_error.h"
#include "tests/tiny_gq.h"
#include "tests/tiny_model.h"

namespace {

using namespace gq;

std::string error_of_opening(const std::function<void(TinyGq&)>& change) {
    const TemporaryPath path("tiny.gq");
    TinyGq tiny;
    change(tiny);
    tiny.write(path.path());
    try {
        LoadedModel::open(path.path(), true);
    } catch (const std::exception& error) {  // Error | FormatError
        CHECK(std::string(error.what()).find(path.path().string()) == 0);
        return error.what();
    }
    return "no error";
}

void check_refused(const char* what, const std::function<void(TinyGq&)>& change,
                   std::initializer_list<const char*> pieces) {
    CAPTURE(what);
    const std::string error = error_of_opening(change);
    for (const char* piece : pieces) CHECK_MESSAGE(error.find(piece) != std::string::npos, piece, " in: ", error);
}

void set_key(TinyGq& tiny, const std::string& key, const std::string& value) {
    std::string& json = tiny.sections["model"];
    const size_t at = json.find("\"" + key + "\":") + key.size() + 3;
    json.replace(at, json.find_first_of(",}", at) - at, value);
}

// attn_q as 4-bit codes with symmetric scales, correct in every part.
GqTensor& make_int4(TinyGq& tiny) {
    GqTensor& q = tiny.tensor("blocks.0.attn_q");
    q.codes = "int4";
    q.grid = "symmetric";
    q.group = 32;
    const PackedSizes sizes = packed_sizes(*find_codes("int4"), find_grid("symmetric"), q.rows, q.cols, q.group);
    q.parts = {{"codes", tiny.bytes(sizes.code_bytes)}, {"scales", tiny.bytes(sizes.scale_bytes)}};
    return q;
}

// The same with a correction of rank 16.
GqTensor& make_corrected(TinyGq& tiny) {
    GqTensor& q = make_int4(tiny);
    q.grid = "symmetric+lorc";
    const PackedSizes u = packed_sizes(*find_codes("int8"), find_grid("symmetric"), q.rows, 16, 0),
                      v = packed_sizes(*find_codes("int8"), find_grid("symmetric"), 16, q.cols, 0);
    q.parts.push_back({"lorc_u", tiny.bytes(u.code_bytes)});
    q.parts.push_back({"lorc_u_scales", tiny.bytes(u.scale_bytes)});
    q.parts.push_back({"lorc_v", tiny.bytes(v.code_bytes)});
    q.parts.push_back({"lorc_v_scales", tiny.bytes(v.scale_bytes)});
    return q;
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("the smallest .gq opens, with floats and with codes") {
        CHECK(error_of_opening([](TinyGq&) {}) == "no error");
        CHECK(error_of_opening([](TinyGq& tiny) { make_int4(tiny); }) == "no error");
        CHECK(error_of_opening([](TinyGq& tiny) { make_corrected(tiny); }) == "no error");
        CHECK(error_of_opening([](TinyGq& tiny) { tiny.sections.erase("generation"); }) == "no error");
    }

    TEST_CASE("opening refuses sections that are missing, hostile or don't fit together") {
        const auto drop = [](const char* name) { return [name](TinyGq& tiny) { tiny.sections.erase(name); }; };
        const auto key = [](const char* name, const char* value) {
            return [=](TinyGq& tiny) { set_key(tiny, name, value); };
        };
        const auto generation = [](const char* json) { return [json](TinyGq& t) { t.sections["generation"] = json; }; };
        check_refused("no model", drop("model"), {"section 'model' expected, not found"});
        check_refused("no tokenizer", drop("tokenizer"), {"section 'tokenizer' expected, not found"});
        check_refused("architecture", key("arch", "\"rnn\""), {"section 'model'", "architecture 'rnn'", "not known"});
        check_refused("layers", key("n_layers", "1000000000000"), {"n_layers expected in 1 … 4096", "1000000000000"});
        check_refused("no heads", key("n_heads", "0"), {"n_heads expected in 1 … 4096, found 0"});
        check_refused("a fraction", key("hidden", "32.5"), {"hidden", "integer", "32.5"});
        check_refused("negative", key("vocab", "-1"), {"vocab", "-1"});
        check_refused("epsilon", key("norm_eps", "2"), {"norm_eps expected in [0, 1), found 2"});
        check_refused("small vocabulary", key("vocab", "100"), {"embedding", "shape (100, 32) expected, (288, 32)"});
        check_refused("vocabulary",
                      [](TinyGq& tiny) {
                          set_key(tiny, "vocab", "100");
                          tiny.tensor("embedding").rows = 100;
                          tiny.tensor("embedding").parts = {{"values", tiny.bytes(100 * 32 * 2)}};
                      },
                      {"section 'tokenizer'", "at most 100 tokens expected", "found 288"});
        check_refused("model is no JSON", [](TinyGq& t) { t.sections["model"] = "{"; }, {"section 'model'", "line 1"});
        check_refused("top_k", generation(R"({"stop_ids":[],"top_k":1e300})"),
                      {"section 'generation': top_k: expected a whole number of 0 … 2147483647, found 1e+300"});
        check_refused("a stop id of 64 bits", generation(R"({"stop_ids":[4294967298]})"),
                      {"section 'generation': stop_ids: expected ids of 0 … 2147483647, found 4294967298"});
    }

    TEST_CASE("opening refuses tensors that are missing, unknown or of the wrong shape, and their parts") {
        const auto q = [](const std::function<void(TinyGq&, GqTensor&)>& change) {
            return [=](TinyGq& tiny) { change(tiny, make_int4(tiny)); };
        };
        check_refused("missing", [](TinyGq& t) { t.tensors.erase(t.tensors.begin()); },
                      {"tensor 'blocks.0.attn_norm' expected, not found"});
        check_refused("shape", q([](TinyGq&, GqTensor& t) { t.rows = 16; }),
                      {"blocks.0.attn_q", "shape (32, 32) expected, (16, 32) x 1 experts found"});
        check_refused("experts", q([](TinyGq&, GqTensor& t) { t.experts = 2; }), {"(32, 32) x 2 experts found"});
        check_refused("codes", q([](TinyGq&, GqTensor& t) { t.codes = "int7"; }),
                      {"blocks.0.attn_q", "codes 'int7' are not known"});
        check_refused("grid", q([](TinyGq&, GqTensor& t) { t.grid = "lattice"; }),
                      {"blocks.0.attn_q", "grid 'lattice' is not known"});
        check_refused("group", q([](TinyGq&, GqTensor& t) { t.group = 33; }), {"group", "multiple of 32", "found 33"});
        check_refused("no scales", q([](TinyGq&, GqTensor& t) { t.parts.pop_back(); }),
                      {"blocks.0.attn_q", "part 'scales'", "expected, not found"});
        check_refused("codes are short", q([](TinyGq& tiny, GqTensor& t) { t.parts[0].bytes = tiny.bytes(64); }),
                      {"blocks.0.attn_q: part 'codes': 512 bytes expected, 64 found"});
        check_refused("no zero points", q([](TinyGq&, GqTensor& t) { t.grid = "zero_point"; }),
                      {"blocks.0.attn_q: part 'zeros'", "expected, not found"});
        check_refused("zero points that nobody reads", q([](TinyGq& tiny, GqTensor& t) {
                          t.parts.push_back({"zeros", tiny.bytes(16)});
                      }),
                      {"blocks.0.attn_q: no part 'zeros' expected beside the grid 'symmetric'"});
        check_refused("bias", q([](TinyGq& tiny, GqTensor& t) {
                          t.parts.push_back({"bias", tiny.bytes(4)});
                      }),
                      {"part 'bias': 128 bytes expected, 4 found"});
        check_refused("values of integers", q([](TinyGq& tiny, GqTensor& t) {
                          t.parts = {{"values", tiny.bytes(64)}};
                      }),
                      {"part 'values' holds floats, found codes int4"});
        check_refused("a vector in 16 bits",
                      [](TinyGq& tiny) {
                          tiny.tensor("final_norm").codes = "f16";
                          tiny.tensor("final_norm").parts = {{"values", tiny.bytes(64)}};
                      },
                      {"final_norm", "plain f32 values expected, found codes f16"});
    }

    TEST_CASE("weights that the hyper-parameters leave out are refused: without them it would be another model") {
        const auto add_copy = [](const char* name, const char* like) {
            return [=](TinyGq& tiny) {
                GqTensor copy = tiny.tensor(like);
                copy.name = name;
                tiny.tensors.push_back(copy);
            };
        };
        check_refused("a block too many", add_copy("blocks.1.attn_norm", "blocks.0.attn_norm"),
                      {"n_layers that covers every block expected, 1 and 'blocks.1.attn_norm' found"});
        check_refused("a head beside a tied one", add_copy("head", "embedding"),
                      {"tied_head false expected beside the tensor 'head', true found"});
    }

    TEST_CASE("opening refuses corrections of low rank that are incomplete or stand in the wrong place") {
        const auto q = [](const std::function<void(TinyGq&, GqTensor&)>& change) {
            return [=](TinyGq& tiny) { change(tiny, make_corrected(tiny)); };
        };
        for (const size_t part : {2, 3, 4, 5})
            check_refused("a part is missing",
                          q([part](TinyGq&, GqTensor& t) { t.parts.erase(t.parts.begin() + static_cast<long>(part)); }),
                          {"blocks.0.attn_q", "part 'lorc_", "expected"});
        check_refused("another rank", q([](TinyGq& tiny, GqTensor& t) { t.parts[5].bytes = tiny.bytes(64); }),
                      {"blocks.0.attn_q: part 'lorc_v': 1024 bytes expected, 512 found"});
        check_refused("no rank", q([](TinyGq& tiny, GqTensor& t) { t.parts[5].bytes = tiny.bytes(30); }),
                      {"blocks.0.attn_q: part 'lorc_v_scales' of 1 to 2 panels expected, found 0"});
        check_refused("too much rank", q([](TinyGq& tiny, GqTensor& t) { t.parts[5].bytes = tiny.bytes(96); }),
                      {"part 'lorc_v_scales' of 1 to 2 panels expected, found 3"});
        check_refused("U is short", q([](TinyGq& tiny, GqTensor& t) { t.parts[2].bytes = tiny.bytes(512); }),
                      {"part 'lorc_u': 1024 bytes expected, 512 found"});
        check_refused("unknown grid", q([](TinyGq&, GqTensor& t) { t.grid = "lattice+lorc"; }),
                      {"blocks.0.attn_q", "grid 'lattice+lorc' is not known"});
        check_refused("embedding",
                      [](TinyGq& tiny) {
                          GqTensor& e = tiny.tensor("embedding");
                          const std::vector<GqPart> parts = make_corrected(tiny).parts;
                          e.grid = "+lorc";
                          e.parts.insert(e.parts.end(), parts.begin() + 2, parts.end());
                          e.parts[1].bytes = tiny.bytes(288 / 16 * 512);
                          e.parts[2].bytes = tiny.bytes(288 / 16 * 32);
                      },
                      {"embedding: a correction of low rank belongs to a block's linears"});
    }

    TEST_CASE("a chat template that doesn't parse stops nothing but the chat, by line and tag") {
        const TemporaryPath path("tiny.gq");
        TinyGq tiny;
        tiny.sections["chat_template"] = "a\n{% include 'b' %}";
        tiny.write(path.path());
        const auto loaded = LoadedModel::open(path.path(), true);
        CHECK(loaded->chat_template);
        CHECK_THROWS_WITH_AS(loaded->render_chat({}, true), doctest::Contains("include"), Error);
        CHECK_THROWS_WITH_AS(loaded->render_chat({}, true), doctest::Contains("line 2"), Error);
        tiny.sections.erase("chat_template");
        tiny.write(path.path());
        CHECK_THROWS_WITH_AS(LoadedModel::open(path.path(), true)->render_chat({}, true),
                             doctest::Contains("no chat template"), Error);
    }

    TEST_CASE("tensors are found by name in a directory of very many") {
        const TemporaryPath path("many.gq");
        TinyGq tiny;
        {
            GqWriter writer(path.path());
            const GqTensor small{"", "f32", "", 1, 1, 1, 0, {{"values", tiny.bytes(4)}}};
            for (size_t i = 0; i < 3000; ++i) {
                GqTensor one = small;
                one.name = "t" + std::to_string(i * 7919 % 3000);  // in no order
                writer.add_tensor(one);
            }
            writer.finish();
        }
        const GqFile file(path.path());
        for (size_t i = 0; i < 3000; ++i) {
            const std::string name = "t" + std::to_string(i);
            REQUIRE(file.find(name) != nullptr);
            CHECK(file.find(name)->name == name);
        }
        CHECK(file.find("t3000") == nullptr);
        CHECK(file.find("") == nullptr);
    }
}
