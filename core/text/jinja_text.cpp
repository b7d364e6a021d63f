// Python's str operations over core/text/unicode.h. See jinja_text.h.
// In: text, well-formed or not. Out: text, positions in bytes, numbers of code points.
// Must not know values or templates.
#include "core/text/jinja_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "core/text/jinja_case_tables.h"
#include "core/text/unicode.h"

namespace gq::jinja {

namespace {

bool is_cased(char32_t c) {
    return is_lower(c) || is_upper(c) || is_title(c);
}

bool within(const case_tables::Span* begin, size_t count, char32_t c) {
    const auto* found = std::lower_bound(begin, begin + count, c,
                                         [](const case_tables::Span& row, char32_t value) { return row.last < value; });
    return found != begin + count && found->first <= c;
}

const case_tables::Full* find_full(const case_tables::Full* begin, size_t count, char32_t c) {
    const auto* found = std::lower_bound(begin, begin + count, c,
                                         [](const case_tables::Full& row, char32_t value) { return row.from < value; });
    return found != begin + count && found->from == c ? found : nullptr;
}

void append_full(std::string& out, const case_tables::Full& mapping) {
    for (const uint32_t part : mapping.to) {
        if (part != 0) append_utf8(out, part);
    }
}

// `source` is kept where the case does not change, so that bytes that are not UTF-8 stay what they are.
void append_changed(std::string& out, std::string_view source, char32_t from, char32_t to) {
    if (from == to) {
        out += source;
    } else {
        append_utf8(out, to);
    }
}

char32_t simple_upper(char32_t c) {
    const auto* end = case_tables::upper_ranges + case_tables::upper_ranges_count;
    const auto* range =
        std::lower_bound(case_tables::upper_ranges, end, c,
                         [](const case_tables::Range& row, char32_t value) { return row.last < value; });
    if (range == end || c < range->first || (c - range->first) % static_cast<uint32_t>(range->step) != 0) return c;
    return static_cast<char32_t>(static_cast<int64_t>(c) + range->delta);
}

void append_upper(std::string& out, std::string_view source, char32_t c) {
    if (const auto* full = find_full(case_tables::upper_full, case_tables::upper_full_count, c)) {
        append_full(out, *full);
    } else {
        append_changed(out, source, c, simple_upper(c));
    }
}

void append_title(std::string& out, std::string_view source, char32_t c) {
    if (const auto* full = find_full(case_tables::title_full, case_tables::title_full_count, c)) {
        append_full(out, *full);
    } else {
        append_upper(out, source, c);
    }
}

// The Unicode Standard 15, table 3-17, Final_Sigma, where marks and modifiers are skipped on both sides.
bool is_final_sigma(std::string_view text, size_t at, size_t length) {
    const auto ignorable = [](char32_t c) {
        const Category kind = category(c);
        return kind == Category::Mn || kind == Category::Me || kind == Category::Cf || kind == Category::Lm ||
               kind == Category::Sk || c == U'\'' || c == U'.' || c == U':' || c == 0xB7 || c == 0x2019;
    };
    size_t before = at;
    bool after_letter = false;
    while (before > 0) {
        before = previous_code_point(text, before);
        const char32_t c = code_point_at(text, before).value;
        if (ignorable(c)) continue;
        after_letter = is_cased(c);
        break;
    }
    for (size_t next = at + length; after_letter && next < text.size();) {
        const CodePoint c = code_point_at(text, next);
        if (!ignorable(c.value)) return !is_cased(c.value);
        next += c.length;
    }
    return after_letter;
}

constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2, kCapitalIWithDot = 0x130;

// The code point `bytes` of the text around it.
void append_lower(std::string& out, std::string_view text, std::string_view bytes, char32_t c) {
    if (c == kCapitalIWithDot) {
        out += "i\u0307";
    } else if (c == kCapitalSigma &&
               is_final_sigma(text, static_cast<size_t>(bytes.data() - text.data()), bytes.size())) {
        append_utf8(out, kFinalSigma);
    } else {
        append_changed(out, bytes, c, lower_case(c));
    }
}

}  // namespace

size_t count_code_points(std::string_view text) {
    size_t count = 0;
    for_each_code_point(text, [&](std::string_view, char32_t) { ++count; });
    return count;
}

size_t code_point_offset(std::string_view text, size_t index) {
    size_t at = 0;
    while (index-- > 0 && at < text.size()) at += code_point_at(text, at).length;
    return at;
}

std::vector<std::string_view> code_points(std::string_view text) {
    std::vector<std::string_view> parts;
    for_each_code_point(text, [&](std::string_view bytes, char32_t) { parts.push_back(bytes); });
    return parts;
}

bool is_alpha(char32_t c) {
    const Category kind = category(c);
    return kind == Category::Lo || kind == Category::Lm || kind == Category::Lu || kind == Category::Ll ||
           kind == Category::Lt;
}
bool is_decimal(char32_t c) {
    return category(c) == Category::Nd;
}
bool is_digit(char32_t c) {
    return is_decimal(c) || within(case_tables::extra_digits, case_tables::extra_digits_count, c);
}
bool is_numeric(char32_t c) {
    const Category kind = category(c);
    return kind == Category::Nd || kind == Category::Nl || kind == Category::No ||
           within(case_tables::extra_numerics, case_tables::extra_numerics_count, c);
}
bool is_lower(char32_t c) {
    return category(c) == Category::Ll || within(case_tables::extra_lowers, case_tables::extra_lowers_count, c);
}
bool is_upper(char32_t c) {
    return category(c) == Category::Lu || within(case_tables::extra_uppers, case_tables::extra_uppers_count, c);
}
bool is_title(char32_t c) {
    return category(c) == Category::Lt;
}

// Python counts the four ASCII separators, which the property White_Space leaves out.
bool is_space(char32_t c) {
    return is_whitespace(c) || (c >= 0x1C && c <= 0x1F);
}

bool is_printable(char32_t c) {
    constexpr auto bit = [](Category kind) { return 1u << static_cast<unsigned>(kind); };
    constexpr uint32_t unprinted = bit(Category::Cc) | bit(Category::Cf) | bit(Category::Cs) | bit(Category::Co) |
                                   bit(Category::Cn) | bit(Category::Zl) | bit(Category::Zp) | bit(Category::Zs);
    return c == U' ' || !(unprinted & bit(category(c)));
}

size_t space_length(std::string_view text, size_t at) {
    if (at >= text.size()) return 0;
    const CodePoint c = code_point_at(text, at);
    return is_space(c.value) ? c.length : 0;
}

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
    std::vector<std::string_view> set = code_points(chars.value_or(""));
    std::sort(set.begin(), set.end());
    const auto drops = [&](std::string_view piece) {
        if (!chars) return is_space(code_point_at(piece, 0).value);
        return std::binary_search(set.begin(), set.end(), piece);
    };
    const auto has = [side](Side wanted) { return (static_cast<int>(side) & static_cast<int>(wanted)) != 0; };
    while (has(Side::left) && !text.empty()) {
        const size_t length = code_point_at(text, 0).length;
        if (!drops(text.substr(0, length))) break;
        text.remove_prefix(length);
    }
    while (has(Side::right) && !text.empty()) {
        const size_t last = previous_code_point(text, text.size());
        if (!drops(text.substr(last))) break;
        text.remove_suffix(text.size() - last);
    }
    return text;
}

std::string upper(std::string_view text) {
    std::string out;
    for_each_code_point(text, [&](std::string_view bytes, char32_t c) { append_upper(out, bytes, c); });
    return out;
}

std::string lower(std::string_view text) {
    std::string out;
    for_each_code_point(text, [&](std::string_view bytes, char32_t c) { append_lower(out, text, bytes, c); });
    return out;
}

std::string capitalized(std::string_view text) {
    std::string out;
    for_each_code_point(text, [&](std::string_view bytes, char32_t c) {
        if (bytes.data() == text.data()) {
            append_title(out, bytes, c);
        } else {
            append_lower(out, text, bytes, c);
        }
    });
    return out;
}

std::string title_words(std::string_view text) {
    std::string out;
    bool in_word = false;
    for_each_code_point(text, [&](std::string_view bytes, char32_t c) {
        if (in_word) {
            append_lower(out, text, bytes, c);
        } else {
            append_title(out, bytes, c);
        }
        in_word = is_cased(c);
    });
    return out;
}

Search::Search(std::string_view needle) : needle_(needle), border_(needle.size()) {
    for (size_t i = 1, length = 0; i < needle.size(); ++i) {
        while (length > 0 && needle[i] != needle[length]) length = border_[length - 1];
        if (needle[i] == needle[length]) ++length;
        border_[i] = length;
    }
}

size_t Search::find(std::string_view text, size_t from) const {
    if (needle_.empty()) return from <= text.size() ? from : std::string_view::npos;
    for (size_t i = from, matched = 0; i < text.size(); ++i) {
        if (matched == 0) {  // the common case: hurry to the needle's first byte
            const void* first = std::memchr(text.data() + i, needle_[0], text.size() - i);
            if (first == nullptr) break;
            i = static_cast<size_t>(static_cast<const char*>(first) - text.data());
        }
        while (matched > 0 && text[i] != needle_[matched]) matched = border_[matched - 1];
        if (text[i] == needle_[matched]) ++matched;
        if (matched == needle_.size()) return i + 1 - matched;
    }
    return std::string_view::npos;
}

std::optional<double> read_number(std::string_view digits) {
    double value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || result.ptr != digits.data() + digits.size()) return std::nullopt;
    if (result.ec == std::errc()) return value;
    const size_t exponent = digits.find_first_of("eE");
    const bool is_tiny = exponent == std::string_view::npos ? digits.find_first_of("123456789") > digits.find('.')
                                                            : digits[exponent + 1] == '-';
    const double limit = is_tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return digits[0] == '-' ? -limit : limit;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
    const auto ends_line = [](char32_t c) {
        return (c >= U'\n' && c <= U'\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    };
    std::vector<std::string_view> lines;
    size_t start = 0;
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = code_point_at(text, at);
        size_t next = at + c.length;
        if (ends_line(c.value)) {
            if (c.value == U'\r' && next < text.size() && text[next] == '\n') ++next;
            lines.push_back(text.substr(start, (keep_ends ? next : at) - start));
            start = next;
        }
        at = next;
    }
    if (start < text.size()) lines.push_back(text.substr(start));
    return lines;
}

}  // namespace gq::jinja
