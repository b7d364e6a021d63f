// Tokenizers from GGUF metadata: SentencePiece BPE by scores against sentencepiece itself, byte-level BPE under its
// names of pre-tokenizers.
// In: metadata and golden ids. Out: checks of ids and messages. Must not need a file from elsewhere.
#include <cmath>

#include "tests/text/tokenizer_goldens.h"

using namespace gq;
using namespace gq::test;

namespace {

JsonValue strings(std::initializer_list<const char*> texts) {
    JsonValue out = JsonValue::of_array({});
    for (const char* text : texts) out.push(JsonValue::of_string(text));
    return out;
}

JsonValue integers(std::initializer_list<int> values) {
    JsonValue out = JsonValue::of_array({});
    for (const int value : values) out.push(JsonValue::of_integer(value));
    return out;
}

// The metadata of a GGUF file with the vocabulary and merges of a golden tokenizer.json.
JsonValue as_gguf(const std::string& name, const char* pre) {
    const JsonValue tokenizer = golden(name + ".json");
    const JsonValue& model = tokenizer.at("model", "golden");
    std::vector<std::string> texts;
    std::vector<int64_t> types;
    const auto put = [&](const std::string& text, int64_t id, int64_t type) {
        if (texts.size() <= static_cast<size_t>(id))
            texts.resize(static_cast<size_t>(id) + 1), types.resize(static_cast<size_t>(id) + 1);
        texts[static_cast<size_t>(id)] = text;
        types[static_cast<size_t>(id)] = type;
    };
    for (const auto& [text, id] : model.at("vocab", "golden").as_object("vocab")) put(text, id.as_integer("id"), 1);
    for (const JsonValue& added : tokenizer.at("added_tokens", "golden").as_array("added")) {
        const bool special = added.at("special", "golden").as_bool("special");
        put(added.at("content", "golden").as_string("content"), added.at("id", "golden").as_integer("id"),
            special ? 3 : 4);
    }
    JsonValue tokens, token_types, merges, out;
    for (size_t i = 0; i < texts.size(); ++i) {
        tokens.push(JsonValue::of_string(texts[i]));
        token_types.push(JsonValue::of_integer(types[i]));
    }
    for (const JsonValue& merge : model.at("merges", "golden").as_array("merges")) {
        const JsonValue::Array& parts = merge.as_array("merge");
        merges.push(JsonValue::of_string(parts[0].as_string("left") + " " + parts[1].as_string("right")));
    }
    out.set("tokenizer.ggml.model", JsonValue::of_string("gpt2"));
    out.set("tokenizer.ggml.pre", JsonValue::of_string(pre));
    out.set("tokenizer.ggml.tokens", std::move(tokens));
    out.set("tokenizer.ggml.token_type", std::move(token_types));
    out.set("tokenizer.ggml.merges", std::move(merges));
    return out;
}

void set_integer(JsonValue& json, const char* key, int64_t value) {
    json.set(key, JsonValue::of_integer(value));
}

// Tokens of a byte-level vocabulary small enough to be written down; 7 is BOS.
JsonValue tiny(const char* pre) {
    JsonValue out;
    out.set("tokenizer.ggml.model", JsonValue::of_string("gpt2"));
    if (pre != nullptr) out.set("tokenizer.ggml.pre", JsonValue::of_string(pre));
    out.set("tokenizer.ggml.tokens", strings({"a", "b", "1", "2", "Ġ", "ab", "12", "<b>"}));
    out.set("tokenizer.ggml.token_type", integers({1, 1, 1, 1, 1, 1, 1, 3}));
    out.set("tokenizer.ggml.merges", strings({"a b", "1 2"}));
    set_integer(out, "tokenizer.ggml.bos_token_id", 7);
    return out;
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("SentencePiece BPE from GGUF: ids and texts equal sentencepiece's") {
        const Tokenizer tokenizer = from_gguf(golden("spm.json"));
        check_goldens(tokenizer, "spm");
        check_goldens(Tokenizer::from_bytes(tokenizer.to_bytes()), "spm");
        CHECK(tokenizer.bos() == 1);
        CHECK(tokenizer.eos() == 2);
        CHECK(tokenizer.adds_bos());
    }

    TEST_CASE("byte-level BPE from GGUF equals the tokenizer.json of its family") {
        JsonValue llama3 = as_gguf("llama3", "llama-bpe");
        set_integer(llama3, "tokenizer.ggml.bos_token_id",
                    from_tokenizer_json(golden("llama3.json")).find_token("<|begin_of_text|>"));
        const Tokenizer tokenizer = from_gguf(llama3);
        check_goldens(tokenizer, "llama3");
        CHECK(tokenizer.adds_bos());
        check_goldens(from_gguf(as_gguf("digits", "smollm")), "digits");
    }

    TEST_CASE("BOS is added where the file asks for it, else where the family does") {
        CHECK(!from_gguf(tiny("gpt-2")).adds_bos());
        CHECK(from_gguf(tiny("llama-bpe")).adds_bos());
        JsonValue asked = tiny("gpt-2"), refused = tiny("llama-bpe");
        asked.set("tokenizer.ggml.add_bos_token", JsonValue::of_bool(true));
        refused.set("tokenizer.ggml.add_bos_token", JsonValue::of_bool(false));
        CHECK(from_gguf(asked).adds_bos());
        CHECK(shown(from_gguf(asked).encode("ab")) == "7 5 ");
        CHECK(!from_gguf(refused).adds_bos());
        CHECK(shown(from_gguf(refused).encode("ab")) == "5 ");
    }

    TEST_CASE("every name of a pre-tokenizer cuts digits its own way") {
        CHECK(shown(from_gguf(tiny("gpt-2")).encode("ab1212")) == "5 6 6 ");
        CHECK(shown(from_gguf(tiny("smollm")).encode("ab1212")) == "5 2 3 2 3 ");
        CHECK(shown(from_gguf(tiny("qwen2")).encode("ab1212")) == "5 2 3 2 3 ");
        CHECK(shown(from_gguf(tiny("default")).encode("ab12121")) == "5 6 2 3 2 ");  // 121 and 21
        CHECK(shown(from_gguf(tiny(nullptr)).encode("ab12121")) == shown(from_gguf(tiny("default")).encode("ab12121")));
    }

    TEST_CASE("without a space prefix the text stays as it is") {
        JsonValue metadata = golden("spm.json");
        metadata.set("tokenizer.ggml.add_space_prefix", JsonValue::of_bool(false));
        const Tokenizer tokenizer = from_gguf(metadata);
        const std::vector<TokenId> ids = tokenizer.encode("the harbour");
        CHECK(tokenizer.decode(ids) == "the harbour");
        CHECK(!tokenizer.token_text(ids[1]).starts_with("▁"));
        CHECK(tokenizer.decode(tokenizer.encode(" the")) == " the");
    }

    TEST_CASE("damaged or foreign GGUF metadata is named") {
        JsonValue no_model, t5, pre = tiny("chatglm-bpe"), types = tiny("gpt-2"), merges = tiny("gpt-2"),
                                bos = tiny("gpt-2");
        t5.set("tokenizer.ggml.model", JsonValue::of_string("t5"));
        no_model.set("general.architecture", JsonValue::of_string("llama"));
        check_contains(error_of([&] { from_gguf(no_model); }), "tokenizer.ggml.model");
        check_contains(error_of([&] { from_gguf(t5); }),
                       "unsupported: tokenizer.ggml.model = \"t5\" is not supported; known: gpt2, llama");
        check_contains(
            error_of([&] { from_gguf(pre); }),
            "unsupported: tokenizer.ggml.pre = \"chatglm-bpe\" is not supported; known: default, gpt-2, llama-bpe");
        JsonValue short_types = parse_json(
            R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a","b"],"tokenizer.ggml.token_type":[1],"tokenizer.ggml.merges":[]})",
            "test");
        check_contains(error_of([&] { from_gguf(short_types); }),
                       "malformed: tokenizer.ggml.token_type: one for each of 2 tokens expected, 1 found");
        JsonValue odd_type = parse_json(
            R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a","b"],"tokenizer.ggml.token_type":[1,7],"tokenizer.ggml.merges":[]})",
            "test");
        check_contains(error_of([&] { from_gguf(odd_type); }),
                       "unsupported: tokenizer.ggml.token_type: 0 … 6 expected for token 1, 7 found");
        JsonValue bad_merge = parse_json(
            R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a","b"],"tokenizer.ggml.merges":["a b"]})",
            "test");
        check_contains(error_of([&] { from_gguf(bad_merge); }), "malformed: tokenizer merge 0 gives \"ab\"");
        JsonValue half_merge = parse_json(
            R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a","b","ab"],"tokenizer.ggml.merges":["a b","a"]})",
            "test");
        check_contains(error_of([&] { from_gguf(half_merge); }),
                       "malformed: tokenizer.ggml.merges[1]: two tokens of the vocabulary expected, \"a\" found");
        JsonValue scores = parse_json(
            R"({"tokenizer.ggml.model":"llama","tokenizer.ggml.tokens":["<unk>","b"],"tokenizer.ggml.scores":[0]})",
            "test");
        check_contains(error_of([&] { from_gguf(scores); }),
                       "malformed: tokenizer scores: one number for each of 2 tokens expected, 1 found");
        JsonValue nan_score =
            parse_json(R"({"tokenizer.ggml.model":"llama","tokenizer.ggml.tokens":["<unk>","b"]})", "test");
        nan_score.set("tokenizer.ggml.scores",
                      JsonValue::of_array({JsonValue::of_number(0), JsonValue::of_number(NAN)}));
        check_contains(error_of([&] { from_gguf(nan_score); }),
                       "malformed: tokenizer scores: a number expected for token 1, nan found");
        JsonValue far_bos = parse_json(
            R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a"],"tokenizer.ggml.merges":[],"tokenizer.ggml.bos_token_id":9})",
            "test");
        check_contains(error_of([&] { from_gguf(far_bos); }),
                       "malformed: tokenizer BOS: an id below 1 expected, 9 found");
    }
}
