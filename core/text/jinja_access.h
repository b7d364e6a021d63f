// Looking into values: attributes, items, slices, length, iteration. As Jinja's sandbox and Python define them.
// In: values. Out: values; what is absent is undefined, what cannot be is an Error.
// Must not know syntax or scopes.
#pragma once

#include <string>
#include <string_view>

#include "core/text/jinja_runtime.h"

namespace gq::jinja {

// object.name: a method or property comes before a dict's key.
Value get_attribute(Runtime& runtime, const Value& object, std::string_view name);
// object[key]: a dict's key comes before a method or property.
Value get_item(Runtime& runtime, const Value& object, const Value& key);
// A method or property alone: undefined when there is none.
Value get_own_attribute(Runtime& runtime, const Value& object, std::string_view name);
// object[start:stop:step]; none stands for a bound that is not given.
Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step);

bool is_iterable(const Value& value);
bool has_length(const Value& value);
int64_t length_of(Runtime& runtime, const Value& value);
// What a for statement would walk: items, a dict's keys, a string's code points. An iterator is used up by it.
Values items_of(Runtime& runtime, const Value& value);

}  // namespace gq::jinja
