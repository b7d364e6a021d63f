// JSON text ↔ a tree of values.
// In: UTF-8 text with a name for error messages. Out: JsonValue, or FormatError with line and column. Strict: RFC 8259,
// no duplicate keys, bounded depth; invalid UTF-8 is refused; \u escapes (surrogate pairs included) become UTF-8. Must
// not know any schema.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gq {

class JsonValue {
  public:
    enum class Type { null, boolean, integer, number, string, array, object };
    using Array = std::vector<JsonValue>;
    using Member = std::pair<std::string, JsonValue>;
    using Object = std::vector<Member>;  // in the order of the text

    JsonValue() = default;
    static JsonValue of_bool(bool value);
    static JsonValue of_integer(int64_t value);
    static JsonValue of_number(double value);
    static JsonValue of_string(std::string value);
    static JsonValue of_array(Array value);
    static JsonValue of_object(Object value);

    Type type() const { return static_cast<Type>(value_.index()); }
    bool is_null() const { return type() == Type::null; }
    bool is_string() const { return type() == Type::string; }
    bool is_array() const { return type() == Type::array; }
    bool is_object() const { return type() == Type::object; }
    bool is_number() const { return type() == Type::integer || type() == Type::number; }

    // Each throws FormatError(malformed) naming `what` and the type found when the value is of another type.
    bool as_bool(const char* what) const;
    int64_t as_integer(const char* what) const;  // a number without fraction that fits
    double as_number(const char* what) const;
    const std::string& as_string(const char* what) const;
    const Array& as_array(const char* what) const;
    const Object& as_object(const char* what) const;

    // The first member of that key, or nullptr (also when this is no object). Looks at the members one by one.
    const JsonValue* find(std::string_view key) const;
    // The member, or FormatError naming the key and `what`.
    const JsonValue& at(std::string_view key, const char* what) const;

    // Appends to an object / array value (the value becomes one when null).
    void set(std::string key, JsonValue value);
    void push(JsonValue value);

    // Compact when indent is 0. Numbers are written so that they read back to the same value and type; what JSON can't
    // say becomes null (infinities, NaN) or U+FFFD (bytes that are not UTF-8).
    std::string dump(int indent = 0) const;

  private:
    template <typename T>
    explicit JsonValue(std::in_place_type_t<T> type, T value) : value_(type, std::move(value)) {}
    template <typename T>
    const T& get(const char* what, const char* expected) const;

    // In the order of Type, whose numbers are this variant's indices.
    std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

struct JsonLimits {
    size_t max_depth = 64;  // arrays and objects inside each other
};

// `name` is the file (or section) that error messages show.
JsonValue parse_json(std::string_view text, const std::string& name, const JsonLimits& limits = {});

bool is_utf8(std::string_view text);

// A name that occurs twice (which one, when there are several, is not said); in n log n, whatever the names are.
std::optional<std::string_view> find_duplicate(std::vector<std::string_view> names);

}  // namespace gq
