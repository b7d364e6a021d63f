// The lexer: text, comments, raw blocks, tags. The rules are those of Jinja 3.1's lexer. See jinja_lexer.h.
// In: the template's source. Out: tokens with their lines, white space trimmed as `-`, trim_blocks and lstrip_blocks
// ask. Must not know which tags or operators exist beyond their spelling.
#include "core/text/jinja_lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "core/text/jinja_runtime.h"
#include "core/text/jinja_text.h"
#include "core/text/unicode.h"

namespace gq::jinja {

namespace {

using Kind = Token::Kind;
constexpr size_t npos = std::string_view::npos;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Longer symbols first. One '=' is an assignment.
constexpr std::string_view kSymbols[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                         "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

// All newlines become \n, and one at the very end goes.
std::string normalized(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        const bool is_return = source[i] == '\r';
        if (is_return && i + 1 < source.size() && source[i + 1] == '\n') ++i;
        out += is_return ? '\n' : source[i];
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

class Lexer {
  public:
    explicit Lexer(std::string_view source) : source_(source) {}
    std::vector<Token> run();

  private:
    void lex_data();
    void lex_comment();
    bool lex_raw();
    void lex_tag(Kind begin);
    bool lex_tag_end(Kind begin);
    void lex_token();
    void lex_symbol();
    void lex_string();
    bool lex_float();
    void lex_integer();

    void add_data(std::string_view text, char sign, bool may_strip_line);
    void add(Kind kind, std::string text = {}) { tokens_.push_back({kind, line_, std::move(text)}); }
    bool at(std::string_view text, size_t offset = 0) const {
        return at_ + offset <= source_.size() && source_.substr(at_ + offset, text.size()) == text;
    }
    char sign_at(size_t offset) const;  // '-', '+' or 0
    void advance(size_t count);
    void skip_spaces();
    size_t skip_digits(size_t from) const;
    [[noreturn]] void fail(const char* what) const { template_error(Status::bad_file, line_, "%s", what); }

    std::string_view source_;
    size_t at_ = 0;
    int line_ = 1;
    bool line_starts_ = true;  // the last thing lexed ended a line
    std::string brackets_;     // the open ones of the present tag, as their closing twins
    std::vector<Token> tokens_;
};

void Lexer::advance(size_t count) {
    const std::string_view passed = source_.substr(at_, count);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    if (!passed.empty()) line_starts_ = passed.back() == '\n';
    at_ += passed.size();
}

void Lexer::skip_spaces() {
    while (const size_t length = space_length(source_, at_)) advance(length);
}

char Lexer::sign_at(size_t offset) const {
    const char c = at_ + offset < source_.size() ? source_[at_ + offset] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

// `text` stands before a tag with that sign; tags that print do not strip their line.
void Lexer::add_data(std::string_view text, char sign, bool may_strip_line) {
    if (sign == '-') {
        text = strip(text, Side::right);
    } else if (sign != '+' && may_strip_line) {
        const size_t newline = text.rfind('\n');
        const size_t start = newline == npos ? 0 : newline + 1;
        const bool blank = strip(text.substr(start), Side::both).empty();
        if ((newline != npos || line_starts_) && blank) text = text.substr(0, start);
    }
    if (!text.empty()) add(Kind::data, std::string(text));
}

void Lexer::lex_data() {
    size_t tag = at_;
    do {
        tag = source_.find('{', tag);
        if (tag == npos || (tag + 1 < source_.size() && std::string_view("{%#").find(source_[tag + 1]) != npos)) break;
        ++tag;
    } while (true);
    const std::string_view text = source_.substr(at_, tag == npos ? npos : tag - at_);
    if (tag == npos || text.size() == source_.size() - at_) {
        if (!text.empty()) add(Kind::data, std::string(text));
        return advance(text.size());
    }
    const bool prints = source_[tag + 1] == '{';
    const size_t sign = tag + 2;
    add_data(text, sign < source_.size() ? sign_at(sign - at_) : '\0', !prints);
    advance(text.size());
    if (at("{#")) return lex_comment();
    if (at("{%") && lex_raw()) return;
    lex_tag(prints ? Kind::variable_begin : Kind::block_begin);
}

// {# … #}, {#- … -#}: the closing sign strips as a block's does.
void Lexer::lex_comment() {
    advance(2 + (sign_at(2) != '\0'));
    const size_t close = source_.find("#}", at_);
    if (close == npos) fail("the comment that starts here has no '#}'");
    const char sign = close > at_ ? source_[close - 1] : '\0';
    advance(close + 2 - at_);
    if (sign == '-') {
        skip_spaces();
    } else if (sign != '+' && at("\n")) {
        advance(1);
    }
}

// {% raw %} … {% endraw %}: false when the tag here is another one.
bool Lexer::lex_raw() {
    const auto spaces = [&](size_t from) {
        while (const size_t length = space_length(source_, from)) from += length;
        return from;
    };
    // The position behind "{%[sign] name [sign]%}" at `from`, or npos.
    const auto behind = [&](size_t from, std::string_view name, bool may_plus) {
        size_t i = from + 2;
        if (i < source_.size() && (source_[i] == '-' || source_[i] == '+')) ++i;
        i = spaces(i);
        if (source_.substr(std::min(i, source_.size()), name.size()) != name) return npos;
        i = spaces(i + name.size());
        if (i < source_.size() && (source_[i] == '-' || (may_plus && source_[i] == '+'))) ++i;
        return source_.substr(std::min(i, source_.size()), 2) == "%}" ? i + 2 : npos;
    };
    const size_t body = behind(at_, "raw", false);
    if (body == npos) return false;
    const int first_line = line_;
    const bool strips = source_[body - 3] == '-';
    advance(body - at_);
    if (strips) skip_spaces();
    size_t close = at_, end = npos;
    while ((close = source_.find("{%", close)) != npos && (end = behind(close, "endraw", true)) == npos) ++close;
    if (close == npos) template_error(Status::bad_file, first_line, "tag 'raw' has no 'endraw'");
    const std::string_view text = source_.substr(at_, close - at_);
    add_data(text, sign_at(close - at_ + 2), true);
    advance(end - at_);
    const char sign = source_[end - 3];
    if (sign == '-') {
        skip_spaces();
    } else if (sign != '+' && at("\n")) {
        advance(1);
    }
    return true;
}

void Lexer::lex_tag(Kind begin) {
    const int first_line = line_;
    add(begin, std::string(source_.substr(at_, 2)));
    advance(2 + (sign_at(2) != '\0'));
    brackets_.clear();
    for (skip_spaces(); !lex_tag_end(begin); skip_spaces()) {
        if (at_ >= source_.size()) {
            template_error(Status::bad_file, first_line, "the tag that starts here has no '%s'",
                           begin == Kind::block_begin ? "%}" : "}}");
        }
        lex_token();
    }
}

// Inside brackets the closing characters are operators: {{ {'a': {}} }}.
bool Lexer::lex_tag_end(Kind begin) {
    const bool is_block = begin == Kind::block_begin;
    const char sign = sign_at(0) == '+' && !is_block ? '\0' : sign_at(0);
    const size_t sign_length = sign != '\0';
    if (!brackets_.empty() || !at(is_block ? "%}" : "}}", sign_length)) return false;
    add(is_block ? Kind::block_end : Kind::variable_end);
    advance(sign_length + 2);
    if (sign == '-') {
        skip_spaces();
    } else if (sign != '+' && is_block && at("\n")) {
        advance(1);
    }
    return true;
}

void Lexer::lex_token() {
    const char c = source_[at_];
    if (is_digit(c)) {
        if (!lex_float()) lex_integer();
    } else if (is_name_start(c)) {
        size_t end = at_;
        while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
        add(Kind::name, std::string(source_.substr(at_, end - at_)));
        advance(end - at_);
    } else if (c == '\'' || c == '"') {
        lex_string();
    } else {
        lex_symbol();
    }
}

void Lexer::lex_symbol() {
    const auto* found =
        std::find_if(std::begin(kSymbols), std::end(kSymbols), [&](std::string_view symbol) { return at(symbol); });
    if (found == std::end(kSymbols)) {
        const std::string c(source_.substr(at_, code_point_at(source_, at_).length));
        template_error(Status::bad_file, line_, "unexpected character '%s'", c.c_str());
    }
    const char c = (*found)[0];
    constexpr std::string_view opening = "([{", closing = ")]}";
    if (const size_t kind = opening.find(c); kind != npos) brackets_ += closing[kind];
    if (closing.find(c) != npos) {
        const char expected = brackets_.empty() ? '\0' : brackets_.back();
        if (expected == '\0') template_error(Status::bad_file, line_, "unexpected '%c'", c);
        if (expected != c) template_error(Status::bad_file, line_, "unexpected '%c', expected '%c'", c, expected);
        brackets_.pop_back();
    }
    add(Kind::symbol, std::string(*found));
    advance(found->size());
}

size_t Lexer::skip_digits(size_t from) const {
    while (from < source_.size() && (is_digit(source_[from]) || (source_[from] == '_' && from + 1 < source_.size() &&
                                                                 is_digit(source_[from + 1])))) {
        ++from;
    }
    return from;
}

std::string without_underscores(std::string_view digits) {
    std::string out(digits);
    out.erase(std::remove(out.begin(), out.end(), '_'), out.end());
    return out;
}

// digits with a fraction, an exponent, or both; never behind a dot, where it is an index: a.0.1
bool Lexer::lex_float() {
    if (at_ > 0 && source_[at_ - 1] == '.') return false;
    const auto digit_at = [&](size_t i) { return i < source_.size() && is_digit(source_[i]); };
    const size_t whole = skip_digits(at_);
    size_t end = whole;
    if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) end = skip_digits(end + 1);
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
        const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-');
        if (digit_at(end + 1 + sign)) end = skip_digits(end + 1 + sign);
    }
    if (end == whole) return false;
    const std::string digits = without_underscores(source_.substr(at_, end - at_));
    Token token{Kind::number, line_, digits};
    token.number = read_number(digits).value_or(0);
    tokens_.push_back(std::move(token));
    advance(end - at_);
    return true;
}

void Lexer::lex_integer() {
    struct Prefix {
        std::string_view text;
        int base;
        std::string_view digits;
    };
    constexpr Prefix prefixes[] = {{"0b", 2, "01"},
                                   {"0B", 2, "01"},
                                   {"0o", 8, "01234567"},
                                   {"0O", 8, "01234567"},
                                   {"0x", 16, "0123456789abcdefABCDEF"},
                                   {"0X", 16, "0123456789abcdefABCDEF"}};
    int base = 10;
    size_t start = at_, end = at_;
    for (const Prefix& prefix : prefixes) {
        const size_t first = source_.find_first_not_of('_', at_ + 2);
        if (!at(prefix.text) || first == npos || prefix.digits.find(source_[first]) == npos || first > at_ + 3)
            continue;
        base = prefix.base;
        start = at_ + 2;
        end = std::min(source_.find_first_not_of(std::string(prefix.digits) + "_", start), source_.size());
        while (source_[end - 1] == '_') --end;
    }
    // Zeros stand alone: 007 is two integers, and so an error of the parser.
    if (base == 10)
        end = source_[at_] == '0' ? std::min(source_.find_first_not_of('0', at_), source_.size()) : skip_digits(at_);
    const std::string digits = without_underscores(source_.substr(start, end - start));
    Token token{Kind::integer, line_, digits};
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
    if (result.ec != std::errc()) fail("an integer does not fit into 64 bits");
    tokens_.push_back(std::move(token));
    advance(end - at_);
}

// Python's escapes: \n …, \ooo, \xhh, \uhhhh, \Uhhhhhhhh; a backslash before anything else stays.
class Unescaper {
  public:
    Unescaper(std::string_view text, int line) : text_(text), line_(line) {}

    std::string run() {
        while (at_ < text_.size()) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
                append_escape(text_[at_ + 1]);
            } else {
                out_ += text_[at_++];
            }
        }
        return std::move(out_);
    }

  private:
    void append_escape(char c) {
        constexpr std::string_view names = "\n\\'\"abfnrtv", values = "\n\\'\"\a\b\f\n\r\t\v";
        constexpr std::string_view coded = "xuU";
        if (const size_t simple = names.find(c); simple != npos) {
            if (c != '\n') out_ += values[simple];  // an escaped newline is nothing
            at_ += 2;
        } else if (coded.find(c) != npos) {
            constexpr size_t lengths[] = {2, 4, 8};
            append_utf8(out_, code_unit(at_ + 2, lengths[coded.find(c)], 16));
        } else if (c >= '0' && c <= '7') {
            size_t length = 1;
            while (length < 3 && at_ + 1 + length < text_.size() && text_[at_ + 1 + length] >= '0' &&
                   text_[at_ + 1 + length] <= '7') {
                ++length;
            }
            append_utf8(out_, code_unit(at_ + 1, length, 8));
        } else if (c == 'N') {
            template_error(Status::unsupported, line_, "the string escape \\N{…} is not supported");
        } else {
            (out_ += '\\') += c;
            at_ += 2;
        }
    }

    // Reads digits and moves behind them. Surrogates come in pairs.
    char32_t code_unit(size_t from, size_t length, int base) {
        char32_t value = number(from, length, base);
        at_ = from + length;
        const bool is_high = value >= 0xD800 && value < 0xDC00;
        if (is_high && text_.substr(at_, 2) == "\\u") {
            const char32_t low = number(at_ + 2, 4, 16);
            if (low >= 0xDC00 && low < 0xE000) {
                at_ += 6;
                value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
            }
        }
        if (value > last_code_point || (value >= 0xD800 && value < 0xE000)) fail();
        return value;
    }

    char32_t number(size_t from, size_t length, int base) const {
        uint32_t value = 0;
        const std::string_view digits = text_.substr(std::min(from, text_.size()), length);
        const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
        if (digits.size() < length || result.ptr != digits.data() + length) fail();
        return value;
    }

    [[noreturn]] void fail() const {
        template_error(Status::bad_file, line_, "a string holds an escape that is no code point");
    }

    std::string_view text_;
    int line_;
    size_t at_ = 0;
    std::string out_;
};

void Lexer::lex_string() {
    const char quote = source_[at_];
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("the string that starts here has no end");
    add(Kind::string, Unescaper(source_.substr(at_ + 1, end - at_ - 1), line_).run());
    advance(end + 1 - at_);
}

std::vector<Token> Lexer::run() {
    while (at_ < source_.size()) lex_data();
    add(Kind::end);
    return std::move(tokens_);
}

}  // namespace

std::string Token::described() const {
    constexpr const char* names[] = {"text",
                                     "'{{'",
                                     "'}}'",
                                     "'{%'",
                                     "'%}'",
                                     nullptr,
                                     "a string",
                                     "an integer",
                                     "a number",
                                     nullptr,
                                     "the end of the template"};
    const char* name = names[static_cast<size_t>(kind)];
    return name != nullptr ? name : "'" + text + "'";
}

std::vector<Token> tokenize(std::string_view source) {
    const std::string text = normalized(source);
    return Lexer(text).run();
}

}  // namespace gq::jinja
