// Look-ups in the generated tables, and UAX 15 normalization. See unicode.h for the contracts.
// In: code points. Out: properties, text.
// Must not know tokenizers.
#include "core/text/unicode.h"

#include <algorithm>
#include <span>

#include "core/text/unicode_tables.h"
#include "formats/utf8.h"

namespace gq {

namespace {

namespace tables = unicode_tables;

// Hangul syllables are arithmetic: The Unicode Standard 15, §3.12.
constexpr char32_t hangul_s = 0xAC00, hangul_l = 0x1100, hangul_v = 0x1161, hangul_t = 0x11A7;
constexpr char32_t n_l = 19, n_v = 21, n_t = 28, n_s = n_l * n_v * n_t;

// The value of the range that holds c in a table of first << bits | value.
uint32_t range_value(const uint32_t* table, size_t count, unsigned bits, char32_t c) {
    const uint32_t key = (static_cast<uint32_t>(c) << bits) | ((1u << bits) - 1);
    return *(std::upper_bound(table, table + count, key) - 1) & ((1u << bits) - 1);
}

uint8_t combining_class(char32_t c) {
    if (c < 0x300) return 0;
    return static_cast<uint8_t>(range_value(tables::combining_ranges, tables::combining_ranges_count, 8, c));
}

char32_t map_case(std::span<const tables::CaseRange> ranges, char32_t c) {
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                        [](char32_t value, const tables::CaseRange& r) { return value < r.first; });
    if (after == ranges.begin()) return c;
    const tables::CaseRange& r = *(after - 1);
    const bool inside = c <= r.last && (c - r.first) % static_cast<uint32_t>(r.step) == 0;
    return inside ? static_cast<char32_t>(static_cast<int32_t>(c) + r.delta) : c;
}

struct Decomposition {
    const uint32_t* parts = nullptr;  // bit 31 marks the last; nullptr: none
    bool compatibility = false;
};

Decomposition find_decomposition(char32_t c) {
    constexpr uint32_t flag = 1u << 31;
    const uint32_t* end = tables::decomposition_keys + tables::decomposition_keys_count;
    const uint32_t* key = std::lower_bound(tables::decomposition_keys, end, static_cast<uint32_t>(c),
                                           [](uint32_t a, uint32_t b) { return (a & ~flag) < b; });
    if (c < 0xA0 || key == end || (*key & ~flag) != c) return {};
    const size_t i = static_cast<size_t>(key - tables::decomposition_keys);
    return {tables::decomposition_pool + tables::decomposition_offsets[i], (*key & flag) != 0};
}

void append_decomposed(std::u32string& out, char32_t c, bool compatibility) {
    if (c >= hangul_s && c < hangul_s + n_s) {
        const char32_t s = c - hangul_s;
        out += {hangul_l + s / (n_v * n_t), hangul_v + s % (n_v * n_t) / n_t};
        if (s % n_t != 0) out += hangul_t + s % n_t;
        return;
    }
    const Decomposition d = find_decomposition(c);
    if (d.parts == nullptr || (d.compatibility && !compatibility)) {
        out += c;
        return;
    }
    for (const uint32_t* part = d.parts;; ++part) {
        append_decomposed(out, *part & 0x1FFFFF, compatibility);
        if (*part >> 31 != 0) return;
    }
}

// Sorts each run of combining marks by class, marks of one class staying in order.
void order_marks(std::u32string& text) {
    for (size_t begin = 0; begin < text.size(); ++begin) {
        if (combining_class(text[begin]) == 0) continue;
        size_t end = begin;
        while (end < text.size() && combining_class(text[end]) != 0) ++end;
        const auto first = text.begin() + static_cast<ptrdiff_t>(begin),
                   last = text.begin() + static_cast<ptrdiff_t>(end);
        std::stable_sort(first, last, [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
        begin = end;
    }
}

// The primary composite of a and b, or 0.
char32_t compose_pair(char32_t a, char32_t b) {
    if (a >= hangul_l && a < hangul_l + n_l && b >= hangul_v && b < hangul_v + n_v) {
        return hangul_s + ((a - hangul_l) * n_v + (b - hangul_v)) * n_t;
    }
    const bool open_syllable = a >= hangul_s && a < hangul_s + n_s && (a - hangul_s) % n_t == 0;
    if (open_syllable && b > hangul_t && b < hangul_t + n_t) return a + (b - hangul_t);
    const auto parts_of = [](uint32_t c) {
        const uint32_t* parts = find_decomposition(c).parts;
        return std::pair<char32_t, char32_t>{parts[0], parts[1] & 0x1FFFFF};
    };
    const uint32_t* end = tables::compositions + tables::compositions_count;
    const std::pair<char32_t, char32_t> wanted{a, b};
    const uint32_t* found = std::lower_bound(tables::compositions, end, wanted,
                                             [&](uint32_t c, const auto& pair) { return parts_of(c) < pair; });
    return found != end && parts_of(*found) == wanted ? *found : 0;
}

// Canonical composition in place: each character joins the last starter unless something between them blocks it (UAX
// 15, D115-D117).
void compose(std::u32string& text) {
    size_t starter = text.size();  // none yet
    size_t written = 0;
    uint8_t last_class = 0;
    for (const char32_t c : text) {
        const uint8_t klass = combining_class(c);
        const bool adjacent = written == starter + 1;
        if (starter < written && (adjacent || (last_class != 0 && last_class < klass))) {
            if (const char32_t composite = compose_pair(text[starter], c); composite != 0) {
                text[starter] = composite;
                continue;
            }
        }
        if (klass == 0) starter = written;
        last_class = klass;
        text[written++] = c;
    }
    text.resize(written);
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

// Length of the ill-formed bytes that one U+FFFD stands for: the longest start of a well-formed sequence, or one byte.
size_t maximal_subpart(std::string_view text) {
    for (size_t n = std::min<size_t>(text.size(), 3); n > 1; --n) {
        for (const char* completion : {"\x80", "\x80\x80"}) {
            const std::string candidate = std::string(text.substr(0, n)) + completion;
            if (utf8_sequence_bytes(candidate) == candidate.size()) return n;
        }
    }
    return 1;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t length = utf8_sequence_bytes(text.substr(at, 4));
        if (length != 0) {
            out.append(text, at, length);
            at += length;
        } else {
            append_utf8(out, replacement_character);
            at += maximal_subpart(text.substr(at));
        }
    }
    return out;
}

CodePoint code_point_at(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<uint8_t>(text[at + i])); };
    const char32_t lead = byte(0);
    const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length == 1 || length > text.size() - at) return {lead < 0x80 ? lead : replacement_character, 1};
    char32_t value = lead & (0xFF >> (length + 1));
    for (size_t i = 1; i < length; ++i) value = value << 6 | (byte(i) & 0x3F);
    return {value, length};
}

size_t previous_code_point(std::string_view text, size_t at) {
    do --at;
    while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
    return at;
}

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](char32_t byte) { out += static_cast<char>(static_cast<uint8_t>(byte)); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            put(0xE0 | c >> 12);
        } else {
            put(0xF0 | c >> 18);
            put(0x80 | (c >> 12 & 0x3F));
        }
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
}

Category category(char32_t c) {
    if (c > last_code_point) return Category::Cn;
    return static_cast<Category>(range_value(tables::category_ranges, tables::category_ranges_count, 5, c));
}

bool is_whitespace(char32_t c) {
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    const Category k = category(c);
    return c == 0x85 || k == Category::Zs || k == Category::Zl || k == Category::Zp;
}

bool is_word(char32_t c) {
    constexpr uint32_t letters_marks_and_digits = 0x3FF;  // Lu … Nl
    const bool by_category = (1u << static_cast<unsigned>(category(c)) & letters_marks_and_digits) != 0;
    if (by_category || category(c) == Category::Pc || c == 0x200C || c == 0x200D) return true;
    // Circled and squared letters are symbols with the property Other_Alphabetic.
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
           (c >= 0x1F170 && c <= 0x1F189);
}

char32_t lower_case(char32_t c) {
    return map_case({tables::lower_ranges, tables::lower_ranges_count}, c);
}

char32_t case_fold(char32_t c) {
    const char32_t fold = map_case({tables::fold_ranges, tables::fold_ranges_count}, c);
    return fold != c ? fold : lower_case(c);
}

std::vector<std::pair<char32_t, char32_t>> category_ranges(uint32_t mask) {
    std::vector<std::pair<char32_t, char32_t>> out;
    for (size_t i = 0; i < tables::category_ranges_count; ++i) {
        if ((mask >> (tables::category_ranges[i] & 31) & 1) == 0) continue;
        const char32_t first = tables::category_ranges[i] >> 5;
        const bool is_last = i + 1 == tables::category_ranges_count;
        const char32_t last = is_last ? last_code_point : (tables::category_ranges[i + 1] >> 5) - 1;
        if (!out.empty() && out.back().second + 1 == first) {
            out.back().second = last;
        } else {
            out.emplace_back(first, last);
        }
    }
    return out;
}

const std::vector<std::pair<char32_t, char32_t>>& case_folds() {
    static const auto all = [] {
        std::vector<std::pair<char32_t, char32_t>> out;
        const auto collect = [&](const tables::CaseRange* ranges, size_t count) {
            for (const tables::CaseRange& r : std::span(ranges, count)) {
                for (char32_t c = r.first; c <= r.last; c += static_cast<uint32_t>(r.step)) {
                    if (case_fold(c) != c) out.emplace_back(c, case_fold(c));
                }
            }
        };
        collect(tables::lower_ranges, tables::lower_ranges_count);
        collect(tables::fold_ranges, tables::fold_ranges_count);
        return out;
    }();
    return all;
}

std::string normalize(std::string_view text, NormalForm form) {
    if (is_ascii(text)) return std::string(text);
    const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
    std::u32string points;
    points.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = code_point_at(text, at);
        append_decomposed(points, c.value, compatibility);
        at += c.length;
    }
    order_marks(points);
    if (form == NormalForm::nfc || form == NormalForm::nfkc) compose(points);
    std::string out;
    for (const char32_t c : points) append_utf8(out, c);
    return out;
}

std::string to_lower(std::string_view text) {
    constexpr char32_t capital_i_with_dot = 0x130, dot_above = 0x307;
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = code_point_at(text, at);
        append_utf8(out, c.value == capital_i_with_dot ? U'i' : lower_case(c.value));
        if (c.value == capital_i_with_dot) append_utf8(out, dot_above);
        at += c.length;
    }
    return out;
}

}  // namespace gq
