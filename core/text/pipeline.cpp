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

void check_growth(const char* doing, size_t bytes, size_t max_bytes) {
    if (bytes <= max_bytes) return;
    fail(Status::unsupported, "tokenizer: %s lets a text grow to %zu bytes, at most %zu expected", doing, bytes,
         max_bytes);
}

// Those of Sequences in it too.
size_t count_parts(const JsonValue& sequence, const char* member) {
    const JsonValue* parts = sequence.find(member);
    if (parts == nullptr || !parts->is_array()) return 0;
    size_t n = 0;
    for (const JsonValue& part : parts->as_array(member)) n += 1 + count_parts(part, member);
    return n;
}

}  // namespace

char32_t byte_to_char(uint8_t byte) {
    return byte_chars[byte];
}

int char_to_byte(char32_t c) {
    return c < char_bytes.size() ? char_bytes[c] : -1;
}

void check_growth(const NormalizedText& text) {
    check_growth("normalizing", text.text.size(), text.max_bytes);
}

void check_growth(const DecodedText& text) {
    check_decoded_bytes(count_bytes(text), text);
}

void check_decoded_bytes(size_t bytes, const DecodedText& text) {
    check_growth("decoding", bytes, text.max_bytes);
}

size_t count_bytes(const DecodedText& text) {
    size_t bytes = 0;
    for (const std::string& token : text.tokens) bytes += token.size();
    return bytes;
}

void check_part_count(const JsonValue& sequence, const char* member) {
    constexpr size_t max_parts = 64;
    if (const size_t n = count_parts(sequence, member); n > max_parts) {
        format_fail(FormatError::Kind::unsupported, "tokenizer %s: at most %zu parts expected, %zu found", member,
                    max_parts, n);
    }
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
