// Regular expressions over code points, as far as the tokenizers of language models use them, with the meaning that the
// Oniguruma library (Ruby syntax) gives them: leftmost match, alternatives in order, greedy, lazy and possessive
// repeats. In: a pattern, then well-formed UTF-8 text. Out: matches as byte ranges. Must not know what is split by
// them.
//   Known: | ( ) (?: ) (?i: ) (?i) (?= ) (?! ) (?> ) . [ ] with ranges, ^, nested classes and &&; \p{L} \p{Lu} \P{…}
//   \p{^…}; \s \S \d \D \w \W \r \n \t \f \v \a \e \xHH \x{H…} \uHHHH; ? * + {m} {m,} {m,n} {,n}, lazy with ? and
//   possessive with + (after {…}, + repeats); ^ $ \A \z \Z \b \B. All else (back references, look-behind, named groups,
//   scripts, …) is refused by name. Groups capture nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/char_set.h"

namespace gq {

// What regex_parser.cpp makes of a pattern and regex.cpp runs.
struct RegexProgram {
    enum class Op : uint8_t {
        one,         // a code point of sets[a]
        repeat,      // as many as possible, min to max, of sets[a]; gives back one at a time
        jump,        // to a
        split,       // to a, and if that fails to b
        look_ahead,  // the program after it up to its accept matches here; go on at a
        look_ahead_not,
        atomic,  // the program after it up to its accept matches, for once and all; go on at a behind it
        line_begin,
        line_end,
        text_begin,
        text_end,
        text_end_or_last_newline,
        word_edge,  // between a code point of sets[a] and one outside
        no_word_edge,
        accept
    };
    struct Instruction {
        Op op;
        uint32_t a = 0, b = 0;
        uint32_t min = 0, max = 0;
    };
    std::vector<Instruction> code;
    std::vector<CharSet> sets;
};

class Regex {
  public:
    struct Match {
        size_t begin, end;  // bytes
    };

    // Throws FormatError(unsupported) that names the construct and its place in the pattern.
    explicit Regex(std::string_view pattern);
    // The pattern that matches exactly this text.
    static Regex literal(std::string_view text);

    // All matches that don't overlap, from left to right; `out` is replaced. An empty match directly behind another
    // match is left out. Time is bounded: throws Error(unsupported) when the search takes more than ~1000 steps for
    // each byte of the text.
    void find_all(std::string_view text, std::vector<Match>& out) const;

  private:
    std::string pattern_;
    RegexProgram program_;
};

// Throws as Regex's constructor does.
RegexProgram parse_regex(std::string_view pattern);

}  // namespace gq
