// Filters whose value is a text or a number: one row each. Jinja 3.1's, with Hugging Face's tojson.
// In: the value and the filter's arguments. Out: the filtered value, or Error. Must not know syntax or scopes.
// Any value is turned into text first, except where Jinja insists on a string.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace gq::jinja {

namespace {

template <std::string (*change)(std::string_view)>
Value changed(Runtime& runtime, Bound& arguments) {
    const std::string text = to_text(runtime, arguments[0]);
    runtime.look_at(text);
    return runtime.text(change(text));
}

Value trim(Runtime& runtime, Bound& arguments) {
    const std::string text = to_text(runtime, arguments[0]);
    if (arguments[1].is_none()) return runtime.text(std::string(strip(text, Side::both)));
    return runtime.text(std::string(strip(text, Side::both, arguments.string(1))));
}

// Words begin behind white space, -, (, {, [ and <; their first code point is put in upper case.
std::string title(std::string_view text) {
    std::string out;
    std::string word;
    const auto flush = [&] {
        const size_t first = code_point_offset(word, 1);
        out += upper(std::string_view(word).substr(0, first)) + lower(std::string_view(word).substr(first));
        word.clear();
    };
    for_each_code_point(text, [&](std::string_view bytes, char32_t c) {
        if (is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos) {
            flush();
            out += bytes;
        } else {
            word += bytes;
        }
    });
    flush();
    return out;
}

Value replace(Runtime& runtime, Bound& arguments) {
    const int64_t count = arguments[3].is_none() ? -1 : arguments.whole(3, -1);
    const std::string text = to_text(runtime, arguments[0]), old = to_text(runtime, arguments[1]);
    return replaced(runtime, text, old, to_text(runtime, arguments[2]), count);
}

Value indent(Runtime& runtime, Bound& arguments) {
    const bool indents_first = arguments.truth(2), indents_blank = arguments.truth(3);
    const std::string text = arguments.string(0) + "\n";
    TextBuilder indention(runtime);
    if (arguments[1].is_string()) {
        indention += arguments[1].string();
    } else {
        indention.repeat(" ", static_cast<size_t>(std::max<int64_t>(0, arguments.whole(1, 4))));
    }
    const std::string blanks = indention.take();
    TextBuilder out(runtime);
    bool is_first = true;
    for (const std::string_view line : split_lines(text)) {
        if (!is_first) out += '\n';
        if (is_first ? indents_first : indents_blank || !line.empty()) out += blanks;
        out += line;
        is_first = false;
    }
    return out.value();
}

Value escape(Runtime& runtime, Bound& arguments) {
    struct Entity {
        char from;
        const char* to;
    };
    constexpr Entity entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
    TextBuilder out(runtime);
    for (const char c : to_text(runtime, arguments[0])) {
        const auto* found =
            std::find_if(std::begin(entities), std::end(entities), [c](const Entity& row) { return row.from == c; });
        if (found == std::end(entities)) {
            out += c;
        } else {
            out += found->to;
        }
    }
    return out.value();
}

Value center(Runtime& runtime, Bound& arguments) {
    return centered(runtime, to_text(runtime, arguments[0]), arguments.whole(1, 80), " ");
}

Value count_words(Runtime& runtime, Bound& arguments) {
    int64_t words = 0;
    bool in_word = false;
    for_each_code_point(to_text(runtime, arguments[0]), [&](std::string_view, char32_t c) {
        const bool continues = is_alpha(c) || is_numeric(c) || c == U'_';
        words += continues && !in_word;
        in_word = continues;
    });
    return Value(words);
}

Value to_json_filter(Runtime& runtime, Bound& arguments) {
    JsonStyle style;
    style.ascii = arguments.truth(1);
    style.sort_keys = arguments.truth(4);
    style.indented = !arguments[2].is_none();
    if (style.indented) {
        TextBuilder indent(runtime);
        if (arguments[2].is_string()) {
            indent += arguments[2].string();
        } else {
            indent.repeat(" ", static_cast<size_t>(std::max<int64_t>(0, arguments.whole(2, 0))));
        }
        style.indent = indent.take();
        style.item_separator = ",";
    }
    if (!arguments[3].is_none()) {
        const bool is_pair = arguments[3].is_sequence() && arguments[3].sequence()->items.size() == 2;
        const Values parts = is_pair ? arguments[3].sequence()->items : Values();
        if (!is_pair || !parts[0].is_string() || !parts[1].is_string()) {
            runtime.fail("'tojson' needs two strings as 'separators'");
        }
        style.item_separator = parts[0].string();
        style.key_separator = parts[1].string();
    }
    return Value::text(to_json(runtime, arguments[0], style));
}

// --- numbers ---

// int(text, base): blanks around, a sign, underscores between digits, the base's prefix. Nothing when it is no integer.
std::optional<int64_t> parse_integer(const Runtime& runtime, std::string_view text, int64_t base) {
    text = strip(text, Side::both);
    const bool is_negative = text.starts_with('-');
    if (is_negative || text.starts_with('+')) text.remove_prefix(1);
    struct Prefix {
        const char *lower, *upper;
        int64_t base;
    };
    for (const Prefix& prefix : {Prefix{"0x", "0X", 16}, Prefix{"0o", "0O", 8}, Prefix{"0b", "0B", 2}}) {
        if ((base != prefix.base && base != 0) || (!text.starts_with(prefix.lower) && !text.starts_with(prefix.upper)))
            continue;
        text.remove_prefix(2);
        base = prefix.base;
        break;
    }
    std::string digits = is_negative ? "-" : "";
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '_') digits += text[i];
        if (text[i] == '_' && (i == 0 || i + 1 == text.size() || text[i - 1] == '_')) return std::nullopt;
    }
    if (text.empty() || text[0] == '-') return std::nullopt;
    int64_t value = 0;
    const auto result =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base == 0 ? 10 : static_cast<int>(base));
    if (result.ptr != digits.data() + digits.size()) return std::nullopt;
    if (result.ec == std::errc::result_out_of_range) runtime.fail("an integer does not fit into 64 bits");
    return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_number(std::string_view text) {
    text = strip(text, Side::both);
    std::string digits;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto is_digit_at = [&](size_t j) { return j < text.size() && text[j] >= '0' && text[j] <= '9'; };
        if (text[i] == '_' && (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1))) return std::nullopt;
        if (text[i] != '_') digits += text[i];
    }
    if (digits.starts_with('+') && !digits.starts_with("+-")) digits.erase(0, 1);
    if (digits.find('(') != std::string::npos) return std::nullopt;  // nan(…) is C's
    return read_number(digits);
}

int64_t truncated(const Runtime& runtime, double value) {
    constexpr double limit = 9223372036854775808.0;
    if (!(value >= -limit && value < limit))
        runtime.fail("the number %s does not fit into an integer", number_text(value).c_str());
    return static_cast<int64_t>(value);
}

// "42.9" becomes 42, text that is no number the default.
Value to_integer(Runtime& runtime, Bound& arguments) {
    const Value& value = arguments[0];
    const Value otherwise = arguments.has(1) ? arguments[1] : Value(int64_t{0});
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (value.is_whole()) return Value(value.whole());
    if (value.is(Value::Kind::number))
        return std::isnan(value.number()) ? otherwise : Value(truncated(runtime, value.number()));
    if (!value.is_string()) return otherwise;
    const int64_t base = arguments.whole(2, 10);
    if (base != 0 && (base < 2 || base > 36)) return otherwise;
    if (const auto whole = parse_integer(runtime, value.string(), base)) return Value(*whole);
    const auto number = parse_number(value.string());
    return number && std::isfinite(*number) ? Value(truncated(runtime, *number)) : otherwise;
}

Value to_number(Runtime& runtime, Bound& arguments) {
    const Value& value = arguments[0];
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (value.is_numeric()) return Value(value.number());
    const auto number = value.is_string() ? parse_number(value.string()) : std::nullopt;
    if (number) return Value(*number);
    return arguments.has(1) ? arguments[1] : Value(0.0);
}

Value absolute(Runtime& runtime, Bound& arguments) {
    const Value& value = arguments[0];
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (!value.is_numeric()) runtime.fail("'abs' needs a number, found '%s'", value.type_name());
    if (value.is(Value::Kind::number)) return Value(std::abs(value.number()));
    return value.whole() < 0 ? negated(runtime, value) : Value(value.whole());
}

// Half to even in decimal, as Python's round: the C library rounds the exact binary value.
double rounded(double value, int64_t digits) {
    constexpr int64_t all_digits = 323;
    if (!std::isfinite(value) || digits > all_digits) return value;
    if (digits < 0) {
        const double unit = std::pow(10.0, static_cast<double>(-digits));
        return std::isinf(unit) ? std::copysign(0.0, value) : std::nearbyint(value / unit) * unit;
    }
    char text[1024];
    const int length = std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), value);
    std::from_chars(text, text + length, value);
    return value;
}

Value round(Runtime& runtime, Bound& arguments) {
    const Value& value = arguments[0];
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (!value.is_numeric()) runtime.fail("'round' needs a number, found '%s'", value.type_name());
    const int64_t digits = arguments.whole(1, 0);
    const std::string method = arguments.has(2) ? arguments.string(2) : "common";
    if (method == "common") {
        if (!value.is_whole()) return Value(rounded(value.number(), digits));
        return digits >= 0 ? Value(value.whole()) : Value(truncated(runtime, rounded(value.number(), digits)));
    }
    if (method != "ceil" && method != "floor")
        runtime.fail("'round' knows common, ceil and floor, found '%s'", method.c_str());
    const double unit = std::pow(10.0, static_cast<double>(digits));
    const double scaled = value.number() * unit;
    return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

constexpr Builtin kTextFilters[] = {
    {"abs", "value", absolute},
    {"capitalize", "value", changed<capitalized>},
    {"center", "value width?", center},
    {"e", "value", escape},
    {"escape", "value", escape},
    {"float", "value default?", to_number},
    {"forceescape", "value", escape},
    {"indent", "value width? first? blank?", indent},
    {"int", "value default? base?", to_integer},
    {"lower", "value", changed<lower>},
    {"replace", "value old new count?", replace},
    {"round", "value precision? method?", round},
    // Nothing is escaped unless a template asks for it, so that safe text needs no mark.
    {"safe", "value", [](Runtime& r, Bound& a) { return Value::text(to_text(r, a[0])); }},
    {"string", "value", [](Runtime& r, Bound& a) { return Value::text(to_text(r, a[0])); }},
    {"title", "value", changed<title>},
    {"tojson", "value ensure_ascii? indent? separators? sort_keys?", to_json_filter},
    {"trim", "value chars?", trim},
    {"upper", "value", changed<upper>},
    {"wordcount", "value", count_words},
};

}  // namespace

std::span<const Builtin> text_filters() {
    return kTextFilters;
}

}  // namespace gq::jinja
