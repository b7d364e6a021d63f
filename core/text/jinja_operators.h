// Operators: arithmetic, comparison, membership; keys of dicts. As Python 3 defines them for the values of
// jinja_value.h. In: values. Out: values; an operation that Python refuses is an Error naming the types. Integers are
// 64-bit: overflow is an Error. Must not know syntax beyond the operators' symbols. The tables here are the only list
// of operators.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "core/text/jinja_runtime.h"

namespace gq::jinja {

// Levels bind tighter downwards; `~` stands between sum and product and is the parser's, as it joins any number of
// values.
enum class Level { sum, product, power };

struct BinaryOperator {
    const char* symbol;
    Level level;
    Value (*apply)(Runtime&, const Value& left, const Value& right);
};
const BinaryOperator* find_binary_operator(std::string_view symbol, Level level);

struct Comparison {
    const char* symbol;  // "not in" is written by the parser as two names
    bool (*apply)(Runtime&, const Value& left, const Value& right);
};
const Comparison* find_comparison(std::string_view symbol);

Value negated(Runtime& runtime, const Value& value);
Value added(Runtime& runtime, const Value& left, const Value& right);
bool equal(Runtime& runtime, const Value& left, const Value& right);
// `symbol` is for the message when the two have no order. NaN is unordered.
std::partial_ordering order(Runtime& runtime, const Value& left, const Value& right, const char* symbol = "<");
bool contains(Runtime& runtime, const Value& container, const Value& item);

// The string under which a dict files a key: equal for equal keys (1, 1.0 and true are one); an Error for what cannot
// be hashed.
std::string dict_key(Runtime& runtime, const Value& key);
bool is_hashable(Runtime& runtime, const Value& key);
// Adds a member or replaces the value of an equal key.
void insert(Runtime& runtime, Dict& dict, const Value& key, Value value);

}  // namespace gq::jinja
