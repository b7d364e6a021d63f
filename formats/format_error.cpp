// Making the messages of FormatError.
// In: a format, and text from files that nobody has checked. Out: an exception whose message is safe to print.
// Must not know any format, and must not print.
#include "formats/format_error.h"

#include <cstdarg>
#include <cstdio>

#include "formats/utf8.h"

namespace gq {

std::string quoted(std::string_view text) {
    constexpr size_t max_bytes = 80;
    std::string out = "\"";
    while (!text.empty() && out.size() < max_bytes) {
        const size_t bytes = utf8_sequence_bytes(text);
        const auto first = static_cast<unsigned char>(text[0]);
        const bool printable = bytes > 1 || (bytes == 1 && first >= 0x20 && first != 0x7F);
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\x%02X", first);
        if (printable)
            out += text.substr(0, bytes);
        else
            out += escape;
        text.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    return out + (text.empty() ? "\"" : "\"...");
}

void format_fail(FormatError::Kind kind, const char* format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, arguments);
    std::string message(length > 0 ? static_cast<size_t>(length) : 0, '\0');
    if (length > 0) std::vsnprintf(message.data(), message.size() + 1, format, again);
    va_end(again);
    va_end(arguments);
    throw FormatError(kind, message);
}

}  // namespace gq
