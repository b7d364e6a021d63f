// Code points: UTF-8 in and out, the properties that tokenizers ask for, and the four normalization forms.
// In: UTF-8 text or code points. Out: the same. Text functions other than valid_utf8 take well-formed UTF-8 and promise
// nothing for other bytes but to stay inside them. Must not know tokenizers. The Unicode version is the one that
// unicode_tables.cpp names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gq {

// General categories, in the order of The Unicode Standard 15, table 4-4.
enum class Category : uint8_t {
    Lu,
    Ll,
    Lt,
    Lm,
    Lo,
    Mn,
    Mc,
    Me,
    Nd,
    Nl,
    No,
    Pc,
    Pd,
    Ps,
    Pe,
    Pi,
    Pf,
    Po,
    Sm,
    Sc,
    Sk,
    So,
    Zs,
    Zl,
    Zp,
    Cc,
    Cf,
    Cs,
    Co,
    Cn
};
constexpr size_t n_categories = 30;
constexpr char32_t last_code_point = 0x10FFFF;
constexpr char32_t replacement_character = 0xFFFD;

// The text itself when it is well-formed, else with U+FFFD for each maximal subpart of an ill-formed sequence (The
// Unicode Standard 15, §3.9).
std::string valid_utf8(std::string_view text);

struct CodePoint {
    char32_t value;
    size_t length;  // bytes in the text, at least 1
};
// The code point that starts at text[at], at < text.size().
CodePoint code_point_at(std::string_view text, size_t at);
// The start of the code point that ends before text[at], at > 0.
size_t previous_code_point(std::string_view text, size_t at);
void append_utf8(std::string& out, char32_t c);

Category category(char32_t c);
bool is_whitespace(char32_t c);   // the property White_Space
bool is_word(char32_t c);         // Alphabetic, M, Nd, Pc or Join_Control: \w of UTS 18
char32_t lower_case(char32_t c);  // simple mapping
char32_t case_fold(char32_t c);   // simple folding

// Inclusive ranges, ascending, of the code points whose category's bit (1 << Category) is set in mask.
std::vector<std::pair<char32_t, char32_t>> category_ranges(uint32_t mask);
// Every code point whose simple case folding is another one, with that one.
const std::vector<std::pair<char32_t, char32_t>>& case_folds();

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normalize(std::string_view text, NormalForm form);

// Each code point's full lower case, without context: U+0130 becomes two code points, a final sigma is a sigma.
std::string to_lower(std::string_view text);

}  // namespace gq
