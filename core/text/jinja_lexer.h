// Template text → tokens, with Jinja's whitespace control as Hugging Face configures it: trim_blocks (the newline after
// a block tag or comment goes) and lstrip_blocks (blanks between the line's start and a block tag or comment go),
// overridden by - and + in the tags. In: text. Out: all tokens, each with its line, ending in one `end`; or Error
// naming the line. Must not know what the tokens mean together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gq::jinja {

struct Token {
    enum class Kind {
        data,            // text between tags, stripped
        variable_begin,  // {{
        variable_end,    // }}
        block_begin,     // {%
        block_end,       // %}
        name,
        string,   // text: unescaped
        integer,  // integer: its value
        number,   // number: its value
        symbol,   // an operator or bracket
        end
    };
    Kind kind;
    int line;
    std::string text;
    int64_t integer = 0;
    double number = 0;

    bool is_symbol(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
    bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
    std::string described() const;  // for messages: "end of the block", "'x'", …
};

std::vector<Token> tokenize(std::string_view source);

}  // namespace gq::jinja
