// What Python's str does, on UTF-8: code points, white space, case, search, lines.
// In: text. Out: text, positions in bytes, numbers of code points. Bytes that are not UTF-8 count as one code point
// each and are kept. Must not know values or templates.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/unicode.h"

namespace gq::jinja {

template <class Visit>  // visit(std::string_view bytes, char32_t code point)
void for_each_code_point(std::string_view text, Visit visit) {
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = code_point_at(text, at);
        visit(text.substr(at, c.length), c.value);
        at += c.length;
    }
}

size_t count_code_points(std::string_view text);
// The bytes where code points `index` steps from the start begin; text.size() when there are fewer.
size_t code_point_offset(std::string_view text, size_t index);
std::vector<std::string_view> code_points(std::string_view text);

// str.isalpha, isdecimal, … of one code point.
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_space(char32_t c);
bool is_printable(char32_t c);
// Bytes of the white space at text[at]; 0 when it is something else.
size_t space_length(std::string_view text, size_t at);

// Strips white space, or the code points of `chars`.
enum class Side { left = 1, right = 2, both = 3 };
std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars = std::nullopt);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);  // first code point in title case, the rest lower
std::string title_words(std::string_view text);  // str.title: every run of letters capitalized

// One needle looked for in many places; linear in the text at worst (Knuth, Morris, Pratt 1977).
class Search {
  public:
    explicit Search(std::string_view needle);
    // The first occurrence at or after `from`; std::string_view::npos when there is none.
    size_t find(std::string_view text, size_t from = 0) const;

  private:
    std::string_view needle_;
    std::vector<size_t> border_;  // of each prefix of the needle, its longest border
};

// Decimal digits with a fraction or exponent → the nearest number: infinity or zero outside of its range. Nothing for
// other text.
std::optional<double> read_number(std::string_view digits);

// Lines without their ends, as str.splitlines; `keep_ends` keeps them.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);

}  // namespace gq::jinja
