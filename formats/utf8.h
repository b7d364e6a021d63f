// Well-formed UTF-8, one sequence at a time.
// In: bytes of any origin. Out: the length of the sequence they start with, or 0.
// Must not know what the text is for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gq {

// Length (1 to 4) of the well-formed sequence that text starts with; 0 when it is ill-formed, cut off or empty.
// Source: The Unicode Standard 15, table 3-7 (no overlong forms, no surrogates, nothing above U+10FFFF).
inline size_t utf8_sequence_bytes(std::string_view text) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
    if (text.empty()) return 0;
    const uint8_t lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(1) < low || byte(1) > high) return 0;
    for (size_t i = 2; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return 0;
    }
    return length;
}

}  // namespace gq
