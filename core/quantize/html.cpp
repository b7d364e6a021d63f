// Escaping and numbers. See html.h.
// In: text. Out: HTML. Must not know what a page is about.
#include "core/quantize/html.h"

#include <cstdio>

#include "formats/json.h"

namespace gq {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

const char* entity(char c) {
    switch (c) {
        case '&':
            return "&amp;";
        case '<':
            return "&lt;";
        case '>':
            return "&gt;";
        case '"':
            return "&quot;";
        case '\'':
            return "&#39;";
        default:
            return nullptr;
    }
}

std::string formatted(const char* format, double value) {
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}

}  // namespace

std::string escaped(std::string_view text) {
    const bool whole = is_utf8(text);
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const unsigned char c = static_cast<unsigned char>(text[i]);
        const std::string_view rest = text.substr(i, 3);
        if (const char* name = entity(text[i])) {
            out += name;
        } else if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F || (c >= 0x80 && !whole)) {
            out += replacement;
        } else if (rest == "\xEF\xBF\xBE" || rest == "\xEF\xBF\xBF") {  // U+FFFE, U+FFFF: no characters of XML
            out += replacement;
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string bytes_text(double bytes) {
    if (bytes >= 1e9) return formatted("%.2f GB", bytes / 1e9);
    if (bytes >= 1e6) return formatted("%.1f MB", bytes / 1e6);
    if (bytes >= 1e3) return formatted("%.1f kB", bytes / 1e3);
    return formatted("%.0f B", bytes);
}

std::string percent_text(double share) {
    return formatted("%.1f %%", 100 * share);
}

std::string pixels(double length) {
    std::string text = formatted("%.1f", length);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

std::string element(const char* tag, const std::string& content, const char* kind) {
    std::string out = std::string("<") + tag;
    if (*kind) out += std::string(" class=\"") + kind + "\"";
    return out + ">" + content + "</" + tag + ">";
}

std::string text_cell(std::string_view text) {
    return element("td", escaped(text), "w");
}

std::string number_cell(std::string_view text) {
    return element("td", escaped(text));
}

}  // namespace gq
