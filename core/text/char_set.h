// A set of code points, with the operations that a regular expression's classes need.
// In: ranges, categories, other sets. Out: membership.
// Must not know the syntax of classes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace gq {

class CharSet {
  public:
    using Range = std::pair<char32_t, char32_t>;  // inclusive

    CharSet() = default;
    explicit CharSet(std::vector<Range> ranges);
    static CharSet of(char32_t c) { return CharSet({{c, c}}); }
    // The code points whose general category's name starts with `name`: "L", "Lu", "N", …; an empty set for a name that
    // no category has.
    static CharSet of_category(std::string_view name);
    static CharSet whitespace();
    static CharSet decimal_digits();
    static CharSet word();

    CharSet united(const CharSet& other) const;
    CharSet intersected(const CharSet& other) const;
    CharSet negated() const;
    // With every code point that has the same simple case folding as one of the set.
    CharSet ignoring_case() const;

    bool contains(char32_t c) const { return c < 128 ? (ascii_[c / 64] >> (c % 64) & 1) != 0 : contains_in_ranges(c); }
    bool empty() const { return ranges_.empty(); }
    // True when the set holds exactly one code point; it is ranges().front().first.
    bool is_single() const { return ranges_.size() == 1 && ranges_.front().first == ranges_.front().second; }
    const std::vector<Range>& ranges() const { return ranges_; }  // ascending, neither touching nor overlapping

  private:
    bool contains_in_ranges(char32_t c) const;

    std::vector<Range> ranges_;
    std::array<uint64_t, 2> ascii_{};
};

}  // namespace gq
