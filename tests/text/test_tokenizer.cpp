// Tokenizers of every kind against the ids and texts of the reference libraries (tests/golden/make_tokenizer_goldens.py).
#include "core/text/tokenizer.h"

#include "core/text/unicode.h"
#include "tests/text/tokenizer_test.h"

using namespace gq;
using namespace gq::test;

namespace {

std::string from_hex(const std::string& hex) {
    std::string out;
    for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
}

std::vector<std::string> golden_texts() {
    std::vector<std::string> out;
    const JsonValue strings = golden("strings.json");
    for (const JsonValue& row : strings.as_array("strings")) {
        const JsonValue *hex = row.find("hex"), *times = row.find("times");
        const std::string once = hex != nullptr ? from_hex(hex->as_string("hex")) : row.at("text", "row").as_string("text");
        std::string text;
        for (int64_t i = times == nullptr ? 1 : times->as_integer("times"); i > 0; --i) text += once;
        out.push_back(text);
    }
    return out;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip_special) {
    StreamDecoder stream(tokenizer, skip_special);
    std::string out;
    for (const TokenId id : ids) out += stream.push(id);
    return out + stream.finish();
}

void check_row(const Tokenizer& tokenizer, const JsonValue& row, const std::string& text) {
    const std::string shown_text = text.substr(0, 80);
    const std::vector<TokenId> ids = tokenizer.encode(text);
    if (const JsonValue* wanted = row.find("ids")) {
        CHECK_MESSAGE(shown(ids) == shown(ids_of(*wanted)), shown_text);
    } else {
        CHECK_MESSAGE(static_cast<int64_t>(ids.size()) == row.at("count", "row").as_integer("count"), shown_text);
        CHECK_MESSAGE(std::to_string(fnv(ids)) == row.at("fnv", "row").as_string("fnv"), shown_text);
    }
    if (const JsonValue* bare = row.find("bare")) {
        const EncodeOptions options{.add_special = false, .parse_special = false};
        CHECK_MESSAGE(shown(tokenizer.encode(text, options)) == shown(ids_of(*bare)), shown_text);
    }
    if (text.size() > 1000) return;
    for (const bool skip : {true, false}) {
        const std::string decoded = tokenizer.decode(ids, skip);
        const JsonValue* wanted = row.find(skip ? "decoded" : "decoded_all");
        CHECK_MESSAGE(decoded == (wanted != nullptr ? wanted->as_string("decoded") : valid_utf8(text)), shown_text);
        CHECK_MESSAGE(streamed(tokenizer, ids, skip) == decoded, shown_text);
    }
}

void check_goldens(const Tokenizer& tokenizer, const std::string& name) {
    CAPTURE(name);
    const JsonValue expected = golden(name + ".expected.json");
    const std::vector<std::string> texts = golden_texts();
    const JsonValue::Array& rows = expected.at("encoded", "golden").as_array("rows");
    REQUIRE(texts.size() == rows.size());
    CHECK(texts.size() >= 60);
    for (size_t i = 0; i < rows.size(); ++i) check_row(tokenizer, rows[i], texts[i]);
    for (const JsonValue& row : expected.at("decoded_ids", "golden").as_array("rows")) {
        const std::vector<TokenId> ids = ids_of(row.at("ids", "row"));
        CHECK_MESSAGE(tokenizer.decode(ids) == row.at("decoded", "row").as_string("text"), shown(ids));
    }
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("tokenizer.json of every family: ids and texts equal the reference library's") {
        for (const char* name : {"llama3", "qwen2", "gpt2", "digits", "llama2", "metaspace", "parts"}) {
            const Tokenizer tokenizer = from_tokenizer_json(golden(std::string(name) + ".json"));
            check_goldens(tokenizer, name);
            check_goldens(Tokenizer::from_bytes(tokenizer.to_bytes()), name);
        }
    }
}
