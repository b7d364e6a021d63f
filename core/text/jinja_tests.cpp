// Tests, what stands behind `is`: one row each. Jinja 3.1's.
// In: the value and the test's arguments. Out: a boolean, or Error where Python raises one. Must not know syntax or
// scopes.
#include <algorithm>

#include "core/text/jinja_access.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace gq::jinja {

namespace {

template <Value::Kind kind>
Value is_kind(Runtime&, Bound& arguments) {
    return Value(arguments[0].is(kind));
}

template <bool wanted>
Value is_boolean(Runtime&, Bound& arguments) {
    return Value(arguments[0].is(Value::Kind::boolean) && arguments[0].boolean() == wanted);
}

// The symbol is an index into the names, since a string cannot be a template's argument.
constexpr const char* kSymbols[] = {"==", "!=", "<", "<=", ">", ">="};
template <size_t symbol>
Value compares(Runtime& runtime, Bound& arguments) {
    return Value(find_comparison(kSymbols[symbol])->apply(runtime, arguments[0], arguments[1]));
}

Value remainder(Runtime& runtime, const Value& value, const Value& divisor) {
    return find_binary_operator("%", Level::product)->apply(runtime, value, divisor);
}

template <int64_t wanted>
Value has_parity(Runtime& runtime, Bound& arguments) {
    return Value(equal(runtime, remainder(runtime, arguments[0], Value(int64_t{2})), Value(wanted)));
}

Value is_divisible(Runtime& runtime, Bound& arguments) {
    return Value(equal(runtime, remainder(runtime, arguments[0], arguments[1]), Value(int64_t{0})));
}

// Every cased code point has that case, and there is one.
template <bool (*wanted)(char32_t), bool (*unwanted)(char32_t)>
Value has_case(Runtime& runtime, Bound& arguments) {
    const std::string text = to_text(runtime, arguments[0]);
    bool any = false, other = false;
    for_each_code_point(text, [&](std::string_view, char32_t c) {
        any |= wanted(c);
        other |= unwanted(c) || is_title(c);
    });
    return Value(any && !other);
}

Value is_sequence(Runtime&, Bound& arguments) {
    const Value& value = arguments[0];
    const bool is_view = value.is_sequence() && !value.sequence()->is_indexed();
    return Value(has_length(value) && !is_view && !value.is(Value::Kind::loop));
}

Value is_integer(Runtime&, Bound& a) {
    return Value(a[0].is(Value::Kind::integer));
}
Value is_number(Runtime&, Bound& a) {
    return Value(a[0].is_numeric());
}
Value is_defined(Runtime&, Bound& a) {
    return Value(!a[0].is_undefined());
}
Value can_iterate(Runtime&, Bound& a) {
    return Value(is_iterable(a[0]));
}
Value is_same(Runtime&, Bound& a) {
    return Value(a[0].same_object(a[1]));
}
Value is_in(Runtime& runtime, Bound& a) {
    return Value(contains(runtime, a[1], a[0]));
}
Value is_filter(Runtime&, Bound& a) {
    return Value(find_filter(a.string(0)) != nullptr);
}
Value is_test(Runtime&, Bound& a) {
    return Value(find_builtin(tests(), a.string(0)) != nullptr);
}
Value is_callable(Runtime&, Bound& a) {
    return Value(a[0].is(Value::Kind::callable) || a[0].is_undefined());
}

constexpr Builtin kTests[] = {
    {"!=", "value other", compares<1>},
    {"<", "value other", compares<2>},
    {"<=", "value other", compares<3>},
    {"==", "value other", compares<0>},
    {">", "value other", compares<4>},
    {">=", "value other", compares<5>},
    {"boolean", "value", is_kind<Value::Kind::boolean>},
    {"callable", "value", is_callable},  // Undefined has __call__, which raises
    {"defined", "value", is_defined},
    {"divisibleby", "value num", is_divisible},
    {"eq", "value other", compares<0>},
    {"equalto", "value other", compares<0>},
    {"even", "value", has_parity<0>},
    {"false", "value", is_boolean<false>},
    {"filter", "value", is_filter},
    {"float", "value", is_kind<Value::Kind::number>},
    {"ge", "value other", compares<5>},
    {"greaterthan", "value other", compares<4>},
    {"gt", "value other", compares<4>},
    {"in", "value seq", is_in},
    {"integer", "value", is_integer},
    {"iterable", "value", can_iterate},
    {"le", "value other", compares<3>},
    {"lessthan", "value other", compares<2>},
    {"lower", "value", has_case<is_lower, is_upper>},
    {"lt", "value other", compares<2>},
    {"mapping", "value", is_kind<Value::Kind::dict>},
    {"ne", "value other", compares<1>},
    {"none", "value", is_kind<Value::Kind::none>},
    {"number", "value", is_number},
    {"odd", "value", has_parity<1>},
    {"sameas", "value other", is_same},
    {"sequence", "value", is_sequence},
    {"string", "value", is_kind<Value::Kind::string>},
    {"test", "value", is_test},
    {"true", "value", is_boolean<true>},
    {"undefined", "value", is_kind<Value::Kind::undefined>},
    {"upper", "value", has_case<is_upper, is_lower>},
};

}  // namespace

std::span<const Builtin> tests() {
    return kTests;
}

}  // namespace gq::jinja
