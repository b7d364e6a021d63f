// A reader of JSON text by recursive descent, as far as jsonl.h's questions need values: the rest is checked and
// skipped.
#include "apps/jsonl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace jsonl {

namespace {

constexpr int most_nested = 100;  // arrays and objects inside each other, in what is passed over

// Every function returns false once something is wrong; error() then has its words.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    const std::string& error() const { return error_; }
    bool wrong(const std::string& expected) {
        if (error_.empty())
            error_ = "column " + std::to_string(at_ + 1) + ": " + expected + " expected, found " + found();
        return false;
    }

    bool at_end() {
        skip_space();
        return at_ == text_.size() || wrong("the end of the line");
    }
    // The next character, passed if it is c.
    bool next_is(char c) {
        skip_space();
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool string(std::string& out, const char* expected);
    bool number(double& out, const char* expected);
    bool skip(int nested = 0);
    // Calls element() for each until the closing bracket; the opening one was passed.
    template <class Element>
    bool list(char closing, const Element& element) {
        if (next_is(closing)) return true;
        do {
            if (!element()) return false;
        } while (next_is(','));
        return next_is(closing) || wrong(std::string("',' or '") + closing + "'");
    }

  private:
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    }
    std::string found() const;
    bool escape(std::string& out);
    bool hex(uint32_t& unit);
    bool word(std::string_view literal);

    std::string_view text_;
    size_t at_ = 0;
    std::string error_;
};

std::string Reader::found() const {
    if (at_ == text_.size()) return "the end of the line";
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte > ' ' && byte < 0x7F) return std::string("'") + text_[at_] + "'";
    char name[16];
    std::snprintf(name, sizeof name, "byte 0x%02X", byte);
    return name;
}

bool Reader::string(std::string& out, const char* expected) {
    if (!next_is('"')) return wrong(expected);
    out.clear();
    while (at_ < text_.size() && text_[at_] != '"') {
        if (static_cast<unsigned char>(text_[at_]) < ' ') return wrong("an escape for a control character");
        if (text_[at_] != '\\') {
            out += text_[at_++];
        } else if (!escape(out)) {
            return false;
        }
    }
    if (at_ == text_.size()) return wrong("'\"'");
    ++at_;
    return true;
}

bool Reader::hex(uint32_t& unit) {
    const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
    if (status != std::errc() || end != digits.data() + 4) return wrong("four hexadecimal digits");
    at_ += 4;
    return true;
}

void append_utf8(std::string& out, uint32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
        return;
    }
    const int tails = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static constexpr std::array<uint32_t, 4> leads = {0, 0xC0, 0xE0, 0xF0};
    out += static_cast<char>(leads[static_cast<size_t>(tails)] | c >> (6 * tails));
    for (int i = tails - 1; i >= 0; --i) out += static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
}

bool Reader::escape(std::string& out) {
    static constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    ++at_;
    const size_t index = at_ < text_.size() ? names.find(text_[at_]) : std::string_view::npos;
    if (index != std::string_view::npos) {
        out += meanings[index];
        ++at_;
        return true;
    }
    uint32_t high = 0, low = 0;
    if (at_ == text_.size() || text_[at_] != 'u') return wrong("an escape (\" \\ / b f n r t u)");
    ++at_;
    if (!hex(high)) return false;
    if (high < 0xD800 || high > 0xDFFF) {
        append_utf8(out, high);
        return true;
    }
    if (high > 0xDBFF || text_.substr(at_, 2) != "\\u") return wrong("a pair of surrogates");
    at_ += 2;
    if (!hex(low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return wrong("a pair of surrogates");
    append_utf8(out, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
    return true;
}

bool Reader::number(double& out, const char* expected) {
    skip_space();
    // from_chars takes more than JSON's grammar: "inf", "nan", ".5", "01".
    const size_t sign = at_ < text_.size() && text_[at_] == '-', first = at_ + sign;
    const auto digit = [&](size_t i) { return i < text_.size() && text_[i] >= '0' && text_[i] <= '9'; };
    if (!digit(first) || (text_[first] == '0' && digit(first + 1))) return wrong(expected);
    const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), out);
    if (status == std::errc::result_out_of_range) out = HUGE_VAL;
    const size_t after = static_cast<size_t>(end - text_.data()), point = text_.find('.', at_);
    if (!digit(after - 1) || (point < after && !digit(point + 1))) return wrong(expected);
    at_ = after;
    return true;
}

bool Reader::word(std::string_view literal) {
    if (text_.substr(at_, literal.size()) != literal) return wrong("a value");
    at_ += literal.size();
    return true;
}

bool Reader::skip(int nested) {
    if (nested == most_nested) return wrong("at most 100 values inside each other");
    std::string text;
    double number_value = 0;
    if (next_is('[')) return list(']', [&] { return skip(nested + 1); });
    if (next_is('{'))
        return list('}', [&] { return string(text, "a key") && (next_is(':') || wrong("':'")) && skip(nested + 1); });
    if (at_ == text_.size()) return wrong("a value");
    switch (text_[at_]) {
        case '"':
            return string(text, "a string");
        case 't':
            return word("true");
        case 'f':
            return word("false");
        case 'n':
            return word("null");
        default:
            return number(number_value, "a value");
    }
}

struct Seen {
    bool context = false, choices = false, answer = false;
};

// One `"key": value` of a question.
bool member(Reader& reader, Question& question, double& answer, Seen& seen) {
    std::string key;
    if (!reader.string(key, "a key") || !(reader.next_is(':') || reader.wrong("':'"))) return false;
    bool* const known = key == "context"   ? &seen.context
                        : key == "choices" ? &seen.choices
                        : key == "answer"  ? &seen.answer
                                           : nullptr;
    if (!known) return reader.skip();
    if (*known) return reader.wrong("\"" + key + "\" once");
    *known = true;
    if (key == "context") return reader.string(question.context, "a string");
    if (key == "answer") return reader.number(answer, "a whole number");
    if (!reader.next_is('[')) return reader.wrong("'['");
    return reader.list(']', [&] { return reader.string(question.choices.emplace_back(), "a string"); });
}

std::string meaning(Question& question, double answer, const Seen& seen) {
    if (!seen.context || !seen.choices || !seen.answer)
        return std::string("key \"") +
               (!seen.context   ? "context"
                : !seen.choices ? "choices"
                                : "answer") +
               "\" expected, not found";
    const size_t n = question.choices.size();
    if (n < 2) return "\"choices\": at least 2 expected, found " + std::to_string(n);
    if (!(answer >= 0 && answer < static_cast<double>(n)) ||
        answer != static_cast<double>(static_cast<size_t>(answer))) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", answer);
        return "\"answer\": a whole number of 0 … " + std::to_string(n - 1) + " expected, found " + text;
    }
    question.answer = static_cast<size_t>(answer);
    return "";
}

}  // namespace

std::string parse_question(std::string_view line, Question& question) {
    question = {};
    Reader reader(line);
    double answer = 0;
    Seen seen;
    const bool well = (reader.next_is('{') || reader.wrong("'{'")) &&
                      reader.list('}', [&] { return member(reader, question, answer, seen); }) && reader.at_end();
    return well ? meaning(question, answer, seen) : reader.error();
}

}  // namespace jsonl
