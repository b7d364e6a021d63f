// What the tests of templates share: rendering a source with variables from JSON, and reading golden files.
// In: JSON, template text. Out: text or the message of the Error.
// Must not know which template is tested.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_parser.h"
#include "formats/json.h"
#include "tests/test_paths.h"

namespace gq {

inline std::string read_golden(const std::string& name) {
    return file_bytes(golden_path(name));
}

inline JsonValue read_golden_json(const std::string& name) {
    return parse_json(read_golden(name), name);
}

// A dict for an object, a list for an array.
inline jinja::Value to_value(jinja::Runtime& runtime, const JsonValue& json) {
    using jinja::Value;
    switch (json.type()) {
        case JsonValue::Type::null:
            return Value();
        case JsonValue::Type::boolean:
            return Value(json.as_bool("value"));
        case JsonValue::Type::integer:
            return Value(json.as_integer("value"));
        case JsonValue::Type::number:
            return Value(json.as_number("value"));
        case JsonValue::Type::string:
            return Value::text(json.as_string("value"));
        case JsonValue::Type::array: {
            jinja::Values items;
            for (const JsonValue& item : json.as_array("value")) items.push_back(to_value(runtime, item));
            return runtime.list(std::move(items));
        }
        case JsonValue::Type::object: {
            jinja::Dict dict;
            for (const auto& [key, member] : json.as_object("value")) {
                insert(runtime, dict, Value::text(key), to_value(runtime, member));
            }
            return runtime.dict(std::move(dict));
        }
    }
    return {};
}

// The clock of the golden files: Thursday, 2024-07-04 15:06:07.
inline std::tm stopped_clock() {
    std::tm now{};
    now.tm_year = 124;
    now.tm_mon = 6;
    now.tm_mday = 4;
    now.tm_hour = 15;
    now.tm_min = 6;
    now.tm_sec = 7;
    now.tm_wday = 4;
    now.tm_yday = 185;
    return now;
}

inline std::string render_text(const std::string& source, const JsonValue& context = parse_json("{}", "context"),
                               const jinja::Limits& limits = {}) {
    jinja::Runtime runtime({}, {});
    jinja::Variables variables;
    for (const auto& [name, value] : context.as_object("context"))
        variables.emplace_back(name, to_value(runtime, value));
    return jinja::render(jinja::parse(source), variables, stopped_clock(), limits);
}

// The message of the Error that parsing or rendering ends in; empty when there is none.
inline std::string error_of(const std::string& source, const jinja::Limits& limits = {}) {
    try {
        render_text(source, parse_json("{}", "context"), limits);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

}  // namespace gq
