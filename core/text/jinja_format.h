// Values → text, as Python writes them: str(), repr() and json.dumps().
// In: values. Out: text counted by the Runtime, or Error for what has no text (an iterator) or no JSON. Must not know
// templates.
#pragma once

#include <string>
#include <string_view>

#include "core/text/jinja_runtime.h"

namespace gq::jinja {

std::string number_text(double value);  // repr(float): the shortest digits that read back to the same value

// str(value), appended; a string is itself, undefined is nothing.
void append_text(Runtime& runtime, const Value& value, TextBuilder& out);
std::string to_text(Runtime& runtime, const Value& value);

// repr(value): strings quoted and escaped.
void append_repr(Runtime& runtime, const Value& value, TextBuilder& out);

// json.dumps. An indent puts each item on a line of its own.
struct JsonStyle {
    bool ascii = false;
    bool sort_keys = false;
    bool indented = false;
    std::string indent;
    std::string item_separator = ", ";
    std::string key_separator = ": ";
};
std::string to_json(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace gq::jinja
