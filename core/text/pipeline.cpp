// What the parsers of the pipeline's parts share. See pipeline.h.
// In: JSON, bytes. Out: patterns, characters.
// Must not know the parts.
#include "core/text/pipeline.h"

#include <array>

#include "core/base/status.h"
#include "core/text/unicode.h"

namespace gq {

namespace {

// Bytes that stand for themselves; the n-th of the others is U+0100 + n.
constexpr bool is_itself(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char16_t, 256> byte_chars = [] {
    std::array<char16_t, 256> out{};
    char16_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) out[byte] = is_itself(byte) ? static_cast<char16_t>(byte) : next++;
    return out;
}();

constexpr std::array<int16_t, 0x144> char_bytes = [] {
    std::array<int16_t, 0x144> out{};
    for (int16_t& byte : out) byte = -1;
    for (unsigned byte = 0; byte < 256; ++byte) out[byte_chars[byte]] = static_cast<int16_t>(byte);
    return out;
}();

}  // namespace

char32_t byte_to_char(uint8_t byte) {
    return byte_chars[byte];
}

int char_to_byte(char32_t c) {
    return c < char_bytes.size() ? char_bytes[c] : -1;
}

void check_growth(const NormalizedText& text) {
    if (text.text.size() <= text.max_bytes) return;
    fail(Status::unsupported, "tokenizer: normalizing lets a text grow to %zu bytes, at most %zu expected",
         text.text.size(), text.max_bytes);
}

Regex parse_pattern(const JsonValue& json, const char* what) {
    const JsonValue& pattern = json.at("pattern", what);
    if (const JsonValue* text = pattern.find("String")) return Regex::literal(text->as_string(what));
    return Regex(pattern.at("Regex", what).as_string(what));
}

bool bool_or(const JsonValue& json, const char* member, bool absent) {
    const JsonValue* value = json.find(member);
    return value == nullptr || value->is_null() ? absent : value->as_bool(member);
}

std::string single_character(const JsonValue& json, const char* member, const char* what) {
    const std::string& text = json.at(member, what).as_string(what);
    if (text.empty() || code_point_at(text, 0).length != text.size()) {
        format_fail(FormatError::Kind::malformed, "%s: one character expected as \"%s\", \"%.40s\" found", what, member,
                    text.c_str());
    }
    return text;
}

}  // namespace gq
