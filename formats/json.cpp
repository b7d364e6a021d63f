// JSON text to a tree of values (json_writer.cpp goes the other way).
// In: UTF-8 text of any origin. Out: JsonValue, or FormatError with line and column. One pass, recursive, depth bounded
// by JsonLimits; grammar: RFC 8259. Must not know any schema.
#include "formats/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "formats/format_error.h"
#include "formats/utf8.h"

namespace gq {
namespace {

const char* const type_names[] = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Characters that stand for themselves in a string and need no check: printable ASCII but '"' and '\'.
constexpr std::array<bool, 256> plain_characters = [] {
    std::array<bool, 256> plain{};
    for (size_t c = 0x20; c < 0x80; c++) plain[c] = c != '"' && c != '\\';
    return plain;
}();

void append_utf8(std::string& out, uint32_t code_point) {
    const auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (code_point < 0x80) return add(code_point);
    if (code_point < 0x800) {
        add(0xC0 | code_point >> 6);
    } else if (code_point < 0x10000) {
        add(0xE0 | code_point >> 12);
        add(0x80 | (code_point >> 6 & 0x3F));
    } else {
        add(0xF0 | code_point >> 18);
        add(0x80 | (code_point >> 12 & 0x3F));
        add(0x80 | (code_point >> 6 & 0x3F));
    }
    add(0x80 | (code_point & 0x3F));
}

// Whether a well-formed decimal number is below 1: what tells an underflow from an overflow.
bool is_below_one(std::string_view number) {
    const size_t e = std::min(number.find_first_of("eE"), number.size());
    const std::string_view mantissa = number.substr(0, e);
    const size_t point = std::min(mantissa.find('.'), mantissa.size());
    const size_t first = mantissa.find_first_of("123456789");
    if (first == std::string_view::npos) return true;
    std::string_view exponent = number.substr(std::min(e + 1, number.size()));
    if (exponent.starts_with('+')) exponent.remove_prefix(1);
    int64_t power = 0;
    if (std::from_chars(exponent.data(), exponent.data() + exponent.size(), power).ec ==
        std::errc::result_out_of_range) {
        return exponent.starts_with('-');
    }
    // The first digit that counts stands at 10^place.
    const int64_t place =
        first < point ? static_cast<int64_t>(point - first) - 1 : -static_cast<int64_t>(first - point);
    return power < -place;
}

class Parser {
  public:
    Parser(std::string_view text, const std::string& name, const JsonLimits& limits)
        : text_(text), name_(name), max_depth_(limits.max_depth) {}

    JsonValue document() {
        JsonValue result = value(0);
        skip_space();
        if (at_ != text_.size()) fail("the end of the text", at_);
        return result;
    }

  private:
    [[noreturn]] void fail(const std::string& expected, size_t offset) const;
    [[noreturn]] void fail_found(const std::string& expected, const std::string& found, size_t offset) const;

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    void skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
            at_++;
        }
    }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        at_++;
        return true;
    }

    JsonValue value(size_t depth);
    JsonValue object(size_t depth);
    JsonValue array(size_t depth);
    JsonValue literal();
    JsonValue number();
    size_t digits();
    JsonValue convert_number(std::string_view number, bool is_integer, size_t begin) const;
    std::string string();
    void escape(std::string& out);
    uint32_t unicode_escape(size_t begin);
    uint32_t hex4();

    std::string_view text_;
    const std::string& name_;
    size_t max_depth_;
    size_t at_ = 0;
};

void Parser::fail_found(const std::string& expected, const std::string& found, size_t offset) const {
    const std::string_view before = text_.substr(0, offset);
    const auto line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
    const size_t column = offset - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    format_fail(FormatError::Kind::malformed, "%s: line %zu, column %zu: expected %s, found %s", name_.c_str(), line,
                column, expected.c_str(), found.c_str());
}

void Parser::fail(const std::string& expected, size_t offset) const {
    if (offset >= text_.size()) fail_found(expected, "the end of the text", offset);
    const std::string_view rest = text_.substr(offset);
    fail_found(expected, gq::quoted(rest.substr(0, std::max<size_t>(1, utf8_sequence_bytes(rest)))), offset);
}

JsonValue Parser::value(size_t depth) {
    skip_space();
    const char c = peek();
    if ((c == '{' || c == '[') && depth == max_depth_) {
        fail_found("at most " + std::to_string(max_depth_) + " arrays and objects inside each other", "one more", at_);
    }
    if (c == '{') return object(depth + 1);
    if (c == '[') return array(depth + 1);
    if (c == '"') return JsonValue::of_string(string());
    if (c == '-' || is_digit(c)) return number();
    return literal();
}

JsonValue Parser::object(size_t depth) {
    const size_t begin = at_++;
    JsonValue::Object members;
    skip_space();
    if (take('}')) return JsonValue::of_object(std::move(members));
    do {
        skip_space();
        if (peek() != '"') fail("a key in double quotes", at_);
        std::string key = string();
        skip_space();
        if (!take(':')) fail("':'", at_);
        members.emplace_back(std::move(key), value(depth));
        skip_space();
    } while (take(','));
    if (!take('}')) fail("',' or '}'", at_);

    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const auto& member : members) keys.push_back(member.first);
    if (const auto twice = find_duplicate(std::move(keys))) {
        fail_found("an object whose keys differ", "the key " + gq::quoted(*twice) + " twice", begin);
    }
    return JsonValue::of_object(std::move(members));
}

JsonValue Parser::array(size_t depth) {
    at_++;
    JsonValue::Array elements;
    skip_space();
    if (take(']')) return JsonValue::of_array(std::move(elements));
    do {
        elements.push_back(value(depth));
        skip_space();
    } while (take(','));
    if (!take(']')) fail("',' or ']'", at_);
    return JsonValue::of_array(std::move(elements));
}

JsonValue Parser::literal() {
    const auto take_word = [&](std::string_view word) {
        if (!text_.substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    };
    if (take_word("true")) return JsonValue::of_bool(true);
    if (take_word("false")) return JsonValue::of_bool(false);
    if (take_word("null")) return JsonValue();
    fail("a value", at_);
}

size_t Parser::digits() {
    const size_t begin = at_;
    while (is_digit(peek())) at_++;
    if (at_ == begin) fail("a digit", at_);
    return at_ - begin;
}

JsonValue Parser::number() {
    const size_t begin = at_;
    take('-');
    const size_t first = at_;
    if (digits() > 1 && text_[first] == '0') fail_found("a number without leading zeros", "one with", begin);
    bool is_integer = true;
    if (take('.')) {
        digits();
        is_integer = false;
    }
    if (take('e') || take('E')) {
        if (!take('+')) take('-');
        digits();
        is_integer = false;
    }
    return convert_number(text_.substr(begin, at_ - begin), is_integer, begin);
}

JsonValue Parser::convert_number(std::string_view number, bool is_integer, size_t begin) const {
    const char* const end = number.data() + number.size();
    int64_t integer = 0;
    const bool minus_zero = number == "-0";  // an integer would lose the sign
    if (is_integer && !minus_zero && std::from_chars(number.data(), end, integer).ec == std::errc()) {
        return JsonValue::of_integer(integer);
    }
    double real = 0;
    const bool out_of_range = std::from_chars(number.data(), end, real).ec == std::errc::result_out_of_range;
    if (out_of_range && is_below_one(number)) return JsonValue::of_number(number[0] == '-' ? -0.0 : 0.0);
    if (out_of_range || std::isinf(real)) fail_found("a number that fits a double", gq::quoted(number), begin);
    return JsonValue::of_number(real);
}

std::string Parser::string() {
    at_++;
    std::string out;
    while (true) {
        const size_t begin = at_;
        while (at_ < text_.size() && plain_characters[static_cast<unsigned char>(text_[at_])]) at_++;
        out.append(text_, begin, at_ - begin);
        if (take('"')) return out;
        if (peek() == '\\') {
            escape(out);
            continue;
        }
        if (at_ == text_.size()) fail("'\"'", at_);
        const size_t bytes = utf8_sequence_bytes(text_.substr(at_));
        if (bytes == 0) fail("well-formed UTF-8", at_);
        if (bytes == 1) fail("a string without bare control characters", at_);
        out.append(text_, at_, bytes);
        at_ += bytes;
    }
}

void Parser::escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const size_t begin = at_++;
    if (take('u')) return append_utf8(out, unicode_escape(begin));
    const size_t letter = at_ < text_.size() ? letters.find(text_[at_]) : std::string_view::npos;
    if (letter == std::string_view::npos) fail("one of \" \\ / b f n r t u after a backslash", at_);
    out += meanings[letter];
    at_++;
}

// The code point of \uXXXX or of a surrogate pair \uD8XX\uDCXX; stands behind the first 'u'.
uint32_t Parser::unicode_escape(size_t begin) {
    const uint32_t high = hex4();
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high < 0xDC00 && take('\\') && take('u')) {
        const uint32_t low = hex4();
        if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    fail_found("a surrogate pair", "a lone surrogate", begin);
}

uint32_t Parser::hex4() {
    const std::string_view digits = text_.substr(at_, 4);
    uint32_t code = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() < 4 || result.ptr != digits.data() + 4) fail("four hexadecimal digits", at_);
    at_ += 4;
    return code;
}

}  // namespace

JsonValue parse_json(std::string_view text, const std::string& name, const JsonLimits& limits) {
    return Parser(text, name, limits).document();
}

bool is_utf8(std::string_view text) {
    for (size_t at = 0, length; at < text.size(); at += length) {
        length = utf8_sequence_bytes(text.substr(at));
        if (length == 0) return false;
    }
    return true;
}

std::optional<std::string_view> find_duplicate(std::vector<std::string_view> names) {
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return std::nullopt;
    return *twice;
}

JsonValue JsonValue::of_bool(bool value) {
    return JsonValue(std::in_place_type<bool>, value);
}
JsonValue JsonValue::of_integer(int64_t value) {
    return JsonValue(std::in_place_type<int64_t>, value);
}
JsonValue JsonValue::of_number(double value) {
    return JsonValue(std::in_place_type<double>, value);
}
JsonValue JsonValue::of_string(std::string value) {
    return JsonValue(std::in_place_type<std::string>, std::move(value));
}
JsonValue JsonValue::of_array(Array value) {
    return JsonValue(std::in_place_type<Array>, std::move(value));
}
JsonValue JsonValue::of_object(Object value) {
    return JsonValue(std::in_place_type<Object>, std::move(value));
}

template <typename T>
const T& JsonValue::get(const char* what, const char* expected) const {
    if (const T* held = std::get_if<T>(&value_)) return *held;
    format_fail(FormatError::Kind::malformed, "%s: expected %s, found %s", what, expected, type_names[value_.index()]);
}

bool JsonValue::as_bool(const char* what) const {
    return get<bool>(what, "a boolean");
}
const std::string& JsonValue::as_string(const char* what) const {
    return get<std::string>(what, "a string");
}
const JsonValue::Array& JsonValue::as_array(const char* what) const {
    return get<Array>(what, "an array");
}
const JsonValue::Object& JsonValue::as_object(const char* what) const {
    return get<Object>(what, "an object");
}

int64_t JsonValue::as_integer(const char* what) const {
    const double* number = std::get_if<double>(&value_);
    if (number == nullptr) return get<int64_t>(what, "an integer");
    // The bounds are exact doubles; 2^63 itself is one too many.
    if (*number >= -0x1p63 && *number < 0x1p63 && *number == std::trunc(*number)) return static_cast<int64_t>(*number);
    format_fail(FormatError::Kind::malformed, "%s: expected an integer of 64 bits, found %.17g", what, *number);
}

double JsonValue::as_number(const char* what) const {
    if (const int64_t* integer = std::get_if<int64_t>(&value_)) return static_cast<double>(*integer);
    return get<double>(what, "a number");
}

const JsonValue* JsonValue::find(std::string_view key) const {
    const Object* members = std::get_if<Object>(&value_);
    if (members == nullptr) return nullptr;
    const auto member = std::find_if(members->begin(), members->end(), [&](const Member& m) { return m.first == key; });
    return member == members->end() ? nullptr : &member->second;
}

const JsonValue& JsonValue::at(std::string_view key, const char* what) const {
    as_object(what);
    if (const JsonValue* member = find(key)) return *member;
    format_fail(FormatError::Kind::malformed, "%s: expected the key %s, found none", what, gq::quoted(key).c_str());
}

void JsonValue::set(std::string key, JsonValue value) {
    if (is_null()) value_ = Object();
    as_object("JsonValue::set");
    std::get<Object>(value_).emplace_back(std::move(key), std::move(value));
}

void JsonValue::push(JsonValue value) {
    if (is_null()) value_ = Array();
    as_array("JsonValue::push");
    std::get<Array>(value_).push_back(std::move(value));
}

}  // namespace gq
