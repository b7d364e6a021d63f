// A tree of values to JSON text.
// In: JsonValue. Out: UTF-8 that parse_json reads back to the same tree.
// Must not know any schema.
#include "formats/json.h"

#include <charconv>
#include <cmath>

#include "formats/utf8.h"

namespace gq {
namespace {

class Writer {
  public:
    explicit Writer(int indent) : indent_(indent > 0 ? static_cast<size_t>(indent) : 0) {}

    void value(const JsonValue& value);
    std::string take() { return std::move(out_); }

  private:
    void number(double value);
    void string(std::string_view text);
    void line();
    template <typename Elements, typename WriteOne>
    void sequence(char open, char close, const Elements& elements, WriteOne write_one);

    std::string out_;
    size_t indent_, depth_ = 0;
};

void Writer::value(const JsonValue& value) {
    switch (value.type()) {
        case JsonValue::Type::null:
            out_ += "null";
            break;
        case JsonValue::Type::boolean:
            out_ += value.as_bool("dump") ? "true" : "false";
            break;
        case JsonValue::Type::integer:
            out_ += std::to_string(value.as_integer("dump"));
            break;
        case JsonValue::Type::number:
            number(value.as_number("dump"));
            break;
        case JsonValue::Type::string:
            string(value.as_string("dump"));
            break;
        case JsonValue::Type::array:
            sequence('[', ']', value.as_array("dump"), [&](const JsonValue& element) { this->value(element); });
            break;
        case JsonValue::Type::object:
            sequence('{', '}', value.as_object("dump"), [&](const JsonValue::Member& member) {
                string(member.first);
                out_ += indent_ > 0 ? ": " : ":";
                this->value(member.second);
            });
            break;
    }
}

template <typename Elements, typename WriteOne>
void Writer::sequence(char open, char close, const Elements& elements, WriteOne write_one) {
    out_ += open;
    depth_++;
    bool first = true;
    for (const auto& element : elements) {
        if (!first) out_ += ',';
        first = false;
        line();
        write_one(element);
    }
    depth_--;
    if (!elements.empty()) line();
    out_ += close;
}

void Writer::line() {
    if (indent_ == 0) return;
    out_ += '\n';
    out_.append(indent_ * depth_, ' ');
}

// The shortest digits that read back to the same double, with a point or an exponent so that it reads back as a number,
// not an integer.
void Writer::number(double value) {
    if (!std::isfinite(value)) {
        out_ += "null";
        return;
    }
    char digits[32];
    const std::string_view text(digits,
                                static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
    out_ += text;
    if (text.find_first_of(".e") == std::string_view::npos) out_ += ".0";
}

std::string control_escape(unsigned char control) {
    constexpr const char* digits = "0123456789abcdef";
    return {'\\', 'u', '0', '0', digits[control >> 4], digits[control & 15]};
}

void Writer::string(std::string_view text) {
    constexpr std::string_view escaped = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    out_ += '"';
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text[0]);
        const size_t bytes = utf8_sequence_bytes(text), letter = escaped.find(text[0]);
        if (letter != std::string_view::npos) {
            out_ += '\\';
            out_ += letters[letter];
        } else if (first < 0x20) {
            out_ += control_escape(first);
        } else {
            out_ += bytes == 0 ? "\xEF\xBF\xBD" : text.substr(0, bytes);
        }
        text.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    out_ += '"';
}

}  // namespace

std::string JsonValue::dump(int indent) const {
    Writer writer(indent);
    writer.value(*this);
    return writer.take();
}

}  // namespace gq
