// Sets of code points as sorted ranges, with a bitmap for ASCII. See char_set.h.
// In: ranges. Out: ranges.
// Must not know the syntax of classes.
#include "core/text/char_set.h"

#include <algorithm>
#include <iterator>

#include "core/text/unicode.h"

namespace gq {

namespace {

constexpr const char* category_names[n_categories] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                                      "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                                      "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};

// Sorts, and joins ranges that touch.
std::vector<CharSet::Range> normalized(std::vector<CharSet::Range> ranges) {
    std::sort(ranges.begin(), ranges.end());
    std::vector<CharSet::Range> out;
    for (const CharSet::Range& r : ranges) {
        if (!out.empty() && r.first <= out.back().second + 1) {
            out.back().second = std::max(out.back().second, r.second);
        } else {
            out.push_back(r);
        }
    }
    return out;
}

}  // namespace

CharSet::CharSet(std::vector<Range> ranges) : ranges_(normalized(std::move(ranges))) {
    for (const Range& r : ranges_) {
        for (char32_t c = r.first; c <= r.second && c < 128; ++c) ascii_[c / 64] |= uint64_t{1} << (c % 64);
    }
}

CharSet CharSet::of_category(std::string_view name) {
    uint32_t mask = 0;
    for (size_t i = 0; i < n_categories; ++i) {
        if (!name.empty() && std::string_view(category_names[i]).starts_with(name)) mask |= 1u << i;
    }
    return CharSet(category_ranges(mask));
}

CharSet CharSet::whitespace() {
    return CharSet({{'\t', '\r'}, {0x85, 0x85}}).united(of_category("Z"));
}

CharSet CharSet::decimal_digits() {
    return of_category("Nd");
}

// Alphabetic, M, Nd and Pc. Circled and squared letters are symbols with the property Other_Alphabetic.
CharSet CharSet::word() {
    const CharSet symbols({{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}});
    CharSet out = of_category("L").united(of_category("M")).united(of_category("Nd"));
    return out.united(of_category("Nl")).united(of_category("Pc")).united(symbols);
}

CharSet CharSet::united(const CharSet& other) const {
    std::vector<Range> both = ranges_;
    both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
    return CharSet(std::move(both));
}

CharSet CharSet::intersected(const CharSet& other) const {
    return negated().united(other.negated()).negated();
}

CharSet CharSet::negated() const {
    std::vector<Range> out;
    char32_t next = 0;
    for (const Range& r : ranges_) {
        if (r.first > next) out.emplace_back(next, r.first - 1);
        next = r.second + 1;
    }
    if (next <= last_code_point) out.emplace_back(next, last_code_point);
    return CharSet(std::move(out));
}

CharSet CharSet::ignoring_case() const {
    const auto& folds = case_folds();
    std::vector<Range> folded = ranges_;
    for (const auto& [from, to] : folds) {
        if (contains(from)) folded.emplace_back(to, to);
    }
    const CharSet with_folds(folded);
    for (const auto& [from, to] : folds) {
        if (with_folds.contains(to)) folded.emplace_back(from, from);
    }
    return CharSet(std::move(folded));
}

bool CharSet::contains_in_ranges(char32_t c) const {
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                        [](char32_t value, const Range& r) { return value < r.first; });
    return after != ranges_.begin() && c <= std::prev(after)->second;
}

}  // namespace gq
