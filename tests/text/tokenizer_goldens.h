// The golden texts, and the check that a tokenizer makes of them what its reference did. See
// tests/golden/make_tokenizer_goldens.py.
// In: a tokenizer and a golden file. Out: checks of ids and texts. Must not know what kind of tokenizer it is.
#pragma once

#include "core/text/unicode.h"
#include "tests/text/tokenizer_test.h"

namespace gq::test {

inline std::string from_hex(const std::string& hex) {
    std::string out;
    for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return out;
}

inline std::vector<std::string> golden_texts() {
    std::vector<std::string> out;
    const JsonValue strings = golden("strings.json");
    for (const JsonValue& row : strings.as_array("strings")) {
        const JsonValue *hex = row.find("hex"), *times = row.find("times");
        const std::string once =
            hex != nullptr ? from_hex(hex->as_string("hex")) : row.at("text", "row").as_string("text");
        std::string text;
        for (int64_t i = times == nullptr ? 1 : times->as_integer("times"); i > 0; --i) text += once;
        out.push_back(text);
    }
    return out;
}

inline std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool skip_special) {
    StreamDecoder stream(tokenizer, skip_special);
    std::string out;
    for (const TokenId id : ids) out += stream.push(id);
    return out + stream.finish();
}

inline void check_encoded(const Tokenizer& tokenizer, const JsonValue& row, const std::string& text) {
    const std::string shown_text = text.substr(0, 80);
    const std::vector<TokenId> ids = tokenizer.encode(text);
    if (const JsonValue* wanted = row.find("ids")) {
        CHECK_MESSAGE(shown(ids) == shown(ids_of(*wanted)), shown_text);
    } else if (row.find("count") != nullptr) {
        CHECK_MESSAGE(static_cast<int64_t>(ids.size()) == row.at("count", "row").as_integer("count"), shown_text);
        CHECK_MESSAGE(std::to_string(fnv(ids)) == row.at("fnv", "row").as_string("fnv"), shown_text);
    }
    if (const JsonValue* bare = row.find("bare")) {
        const EncodeOptions options{.add_special = false, .parse_special = false};
        CHECK_MESSAGE(shown(tokenizer.encode(text, options)) == shown(ids_of(*bare)), shown_text);
    }
}

// `key` is "decoded" or "decoded_all".
inline void check_decoded(const Tokenizer& tokenizer, const JsonValue& row, const std::string& text, const char* key) {
    if (text.size() > 1000 || row.find("ids") == nullptr) return;
    const std::string shown_text = text.substr(0, 80);
    const std::vector<TokenId> ids = ids_of(row.at("ids", "row"));
    const bool skip = std::string_view(key) == "decoded";
    const std::string decoded = tokenizer.decode(ids, skip);
    const JsonValue* wanted = row.find(key);
    CHECK_MESSAGE(decoded == (wanted != nullptr ? wanted->as_string(key) : valid_utf8(text)), shown_text);
    CHECK_MESSAGE(streamed(tokenizer, ids, skip) == decoded, shown_text);
}

inline void check_goldens(const Tokenizer& tokenizer, const std::string& name) {
    CAPTURE(name);
    const JsonValue expected = golden(name + ".expected.json");
    const std::vector<std::string> texts = golden_texts();
    const JsonValue::Array& rows = expected.at("encoded", "golden").as_array("rows");
    REQUIRE(texts.size() == rows.size());
    CHECK(texts.size() >= 60);
    const bool special_decoded = expected.at("reference", "golden").as_string("reference").starts_with("tokenizers");
    for (size_t i = 0; i < rows.size(); ++i) {
        check_encoded(tokenizer, rows[i], texts[i]);
        check_decoded(tokenizer, rows[i], texts[i], "decoded");
        if (special_decoded) check_decoded(tokenizer, rows[i], texts[i], "decoded_all");
    }
    for (const JsonValue& row : expected.at("decoded_ids", "golden").as_array("rows")) {
        const std::vector<TokenId> ids = ids_of(row.at("ids", "row"));
        CHECK_MESSAGE(tokenizer.decode(ids) == row.at("decoded", "row").as_string("text"), shown(ids));
    }
}

}  // namespace gq::test
