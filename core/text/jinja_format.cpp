// str(), repr() and json.dumps() of values, floats with the shortest digits as Python has them. See jinja_format.h.
// In: values, json.dumps' options. Out: text, counted by the Runtime while it grows; Error for what has no text.
// Must not know templates or filters.
#include "core/text/jinja_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"
#include "core/text/unicode.h"

namespace gq::jinja {

namespace {

using Form = Sequence::Form;

struct Brackets {
    const char *open, *close;
};
constexpr Brackets kBrackets[] = {{"[", "]"},
                                  {"(", ")"},
                                  {"[", "]"},
                                  {"dict_keys([", "])"},
                                  {"dict_values([", "])"},
                                  {"dict_items([", "])"}};  // in the order of Sequence::Form

std::string hexadecimal(const char* prefix, int digits, char32_t c) {
    char text[16];
    std::snprintf(text, sizeof text, "%s%0*x", prefix, digits, static_cast<unsigned>(c));
    return text;
}

struct Escape {
    char32_t code_point;
    const char* text;
};
constexpr Escape kReprEscapes[] = {{U'\\', "\\\\"}, {U'\n', "\\n"}, {U'\r', "\\r"}, {U'\t', "\\t"}};
constexpr Escape kJsonEscapes[] = {{U'"', "\\\""}, {U'\\', "\\\\"}, {U'\n', "\\n"}, {U'\r', "\\r"},
                                   {U'\t', "\\t"}, {U'\f', "\\f"},  {U'\b', "\\b"}};

template <size_t N>
const char* find_escape(const Escape (&escapes)[N], char32_t c) {
    const Escape* found = std::find_if(escapes, escapes + N, [c](const Escape& row) { return row.code_point == c; });
    return found == escapes + N ? nullptr : found->text;
}

void append_quoted(std::string_view text, TextBuilder& out) {
    const bool has_single = text.find('\'') != std::string_view::npos;
    const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
    out += quote;
    for (const std::string_view piece : code_points(text)) {
        const char32_t c = code_point_at(piece, 0).value;
        if (const char* escape = find_escape(kReprEscapes, c)) {
            out += escape;
        } else if (c == static_cast<char32_t>(quote)) {
            (out += '\\') += quote;
        } else if (is_printable(c)) {
            out += piece;
        } else {
            out += c < 0x100     ? hexadecimal("\\x", 2, c)
                   : c < 0x10000 ? hexadecimal("\\u", 4, c)
                                 : hexadecimal("\\U", 8, c);
        }
    }
    out += quote;
}

void append_sequence(Runtime& runtime, const Sequence& value, TextBuilder& out) {
    if (value.form == Form::range) runtime.fail("a range cannot be printed; make it a list");
    const Brackets& brackets = kBrackets[static_cast<size_t>(value.form)];
    out += brackets.open;
    for (size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ", ";
        append_repr(runtime, value.items[i], out);
    }
    if (value.form == Form::tuple && value.items.size() == 1) out += ",";
    out += brackets.close;
}

void append_dict(Runtime& runtime, const Dict& value, TextBuilder& out) {
    out += "{";
    for (const auto& [key, member] : value.members) {
        if (&key != &value.members.front().first) out += ", ";
        append_repr(runtime, key, out);
        out += ": ";
        append_repr(runtime, member, out);
    }
    out += "}";
}

// Positional between 1e-4 and 1e16, as repr(float).
std::string finite_text(double value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
    const std::string scientific(digits, end);
    const size_t e = scientific.find('e');
    const int exponent = std::stoi(scientific.substr(e + 1));
    if (exponent < -4 || exponent >= 16) return scientific;
    char positional[64];
    const auto last = std::to_chars(positional, positional + sizeof positional, value, std::chars_format::fixed).ptr;
    std::string text(positional, last);
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
}

class JsonWriter {
  public:
    JsonWriter(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style), out_(runtime) {}

    std::string write(const Value& value) {
        append(value);
        return out_.take();
    }

  private:
    void append(const Value& value);
    void append_scalar(const Value& value);
    void append_string(std::string_view text);
    void append_key(const Value& key);
    void append_members(const Dict& dict);
    void open_line(bool is_first);
    void close_line();

    Runtime& runtime_;
    const JsonStyle& style_;
    TextBuilder out_;
    size_t level_ = 0;
};

void JsonWriter::open_line(bool is_first) {
    if (!is_first) out_ += style_.item_separator;
    if (!style_.indented) return;
    out_ += '\n';
    out_.repeat(style_.indent, level_);
}

void JsonWriter::close_line() {
    --level_;
    if (!style_.indented) return;
    out_ += '\n';
    out_.repeat(style_.indent, level_);
}

void JsonWriter::append_string(std::string_view text) {
    out_ += '"';
    for (const std::string_view piece : code_points(text)) {
        const char32_t c = code_point_at(piece, 0).value;
        if (const char* escape = find_escape(kJsonEscapes, c)) {
            out_ += escape;
        } else if (c < 0x20 || (style_.ascii && c >= 0x7F && c < 0x10000)) {
            out_ += hexadecimal("\\u", 4, c);
        } else if (style_.ascii && c >= 0x10000) {
            out_ += hexadecimal("\\u", 4, 0xD800 + ((c - 0x10000) >> 10));
            out_ += hexadecimal("\\u", 4, 0xDC00 + ((c - 0x10000) & 0x3FF));
        } else {
            out_ += piece;
        }
    }
    out_ += '"';
}

void JsonWriter::append_scalar(const Value& value) {
    if (value.is_none()) {
        out_ += "null";
    } else if (value.is(Value::Kind::boolean)) {
        out_ += value.boolean() ? "true" : "false";
    } else if (value.is(Value::Kind::integer)) {
        out_ += std::to_string(value.whole());
    } else if (std::isfinite(value.number())) {
        out_ += number_text(value.number());
    } else {
        out_ += std::isnan(value.number()) ? "NaN" : value.number() > 0 ? "Infinity" : "-Infinity";
    }
}

void JsonWriter::append_key(const Value& key) {
    if (key.is_string()) return append_string(key.string());
    if (!key.is_none() && !key.is_numeric()) {
        runtime_.fail("tojson: a key must be a string, a number, a boolean or none, found '%s'", key.type_name());
    }
    out_ += '"';
    append_scalar(key);
    out_ += '"';
}

void JsonWriter::append_members(const Dict& dict) {
    std::vector<const std::pair<Value, Value>*> members;
    for (const auto& member : dict.members) members.push_back(&member);
    if (style_.sort_keys) {
        std::stable_sort(members.begin(), members.end(),
                         [&](const auto* a, const auto* b) { return order(runtime_, a->first, b->first) < 0; });
    }
    ++level_;
    for (const auto* member : members) {
        open_line(member == members.front());
        append_key(member->first);
        out_ += style_.key_separator;
        append(member->second);
    }
    close_line();
}

void JsonWriter::append(const Value& value) {
    runtime_.step();
    if (value.is_string()) return append_string(value.string());
    if (value.is_none() || value.is_numeric()) return append_scalar(value);
    if (value.is_dict()) {
        out_ += '{';
        if (!value.dict().members.empty()) append_members(value.dict());
        out_ += '}';
        return;
    }
    const bool is_array =
        value.is_sequence() && (value.sequence()->form == Form::list || value.sequence()->form == Form::tuple);
    if (value.is_undefined()) runtime_.fail("tojson: %s", value.why().c_str());
    if (!is_array) runtime_.fail("tojson: a value of type '%s' has no JSON form", value.type_name());
    const Values& items = value.sequence()->items;
    out_ += '[';
    if (!items.empty()) {
        ++level_;
        for (size_t i = 0; i < items.size(); ++i) {
            open_line(i == 0);
            append(items[i]);
        }
        close_line();
    }
    out_ += ']';
}

// One row per Value::Kind, in its order.
using Append = void (*)(Runtime&, const Value&, TextBuilder&);
[[noreturn]] void refuse_text(Runtime& runtime, const Value& value, TextBuilder&) {
    runtime.fail("a value of type '%s' cannot be printed", value.type_name());
}
constexpr Append kReprs[] = {
    [](Runtime&, const Value&, TextBuilder& out) { out += "Undefined"; },
    [](Runtime&, const Value&, TextBuilder& out) { out += "None"; },
    [](Runtime&, const Value& v, TextBuilder& out) { out += v.boolean() ? "True" : "False"; },
    [](Runtime&, const Value& v, TextBuilder& out) { out += std::to_string(v.whole()); },
    [](Runtime&, const Value& v, TextBuilder& out) { out += number_text(v.number()); },
    [](Runtime&, const Value& v, TextBuilder& out) { append_quoted(v.string(), out); },
    [](Runtime& r, const Value& v, TextBuilder& out) { append_sequence(r, *v.sequence(), out); },
    [](Runtime& r, const Value& v, TextBuilder& out) { append_dict(r, v.dict(), out); },
    refuse_text,
    refuse_text,
    refuse_text,
    refuse_text,
};

}  // namespace

std::string number_text(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return finite_text(value);
}

void append_repr(Runtime& runtime, const Value& value, TextBuilder& out) {
    runtime.step();
    kReprs[static_cast<size_t>(value.kind())](runtime, value, out);
}

void append_text(Runtime& runtime, const Value& value, TextBuilder& out) {
    if (value.is_string()) {
        out += value.string();
    } else if (!value.is_undefined()) {
        append_repr(runtime, value, out);
    }
}

std::string to_text(Runtime& runtime, const Value& value) {
    TextBuilder out(runtime);
    append_text(runtime, value, out);
    return out.take();
}

std::string to_json(Runtime& runtime, const Value& value, const JsonStyle& style) {
    return JsonWriter(runtime, style).write(value);
}

}  // namespace gq::jinja
