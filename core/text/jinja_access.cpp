// Attributes, items, slices, iteration. See jinja_access.h.
// In: a value and a name, a key or bounds. Out: the value found there, undefined, or Error as in Python.
// Must not know syntax or scopes.
#include "core/text/jinja_access.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>

#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"
#include "core/text/unicode.h"

namespace gq::jinja {

namespace {

struct LoopProperty {
    const char* name;
    Value (*get)(Runtime&, Loop&);
};

Value neighbour(Runtime& runtime, const Value* item, const char* why) {
    return item != nullptr ? *item : runtime.undefined(why);
}

constexpr LoopProperty kLoopProperties[] = {
    {"index", [](Runtime&, Loop& loop) { return Value(loop.index0 + 1); }},
    {"index0", [](Runtime&, Loop& loop) { return Value(loop.index0); }},
    {"revindex", [](Runtime&, Loop& loop) { return Value(loop.length() - loop.index0); }},
    {"revindex0", [](Runtime&, Loop& loop) { return Value(loop.length() - loop.index0 - 1); }},
    {"first", [](Runtime&, Loop& loop) { return Value(loop.index0 == 0); }},
    {"last", [](Runtime&, Loop& loop) { return Value(loop.peek() == nullptr); }},
    {"length", [](Runtime&, Loop& loop) { return Value(loop.length()); }},
    {"depth", [](Runtime&, Loop&) { return Value(int64_t{1}); }},  // grows in recursive loops only, which are refused
    {"depth0", [](Runtime&, Loop&) { return Value(int64_t{0}); }},
    {"previtem",
     [](Runtime& runtime, Loop& loop) {
         return neighbour(runtime, loop.previous ? &*loop.previous : nullptr, "there is no previous item");
     }},
    {"nextitem", [](Runtime& runtime, Loop& loop) { return neighbour(runtime, loop.peek(), "there is no next item"); }},
};

std::span<const Builtin> methods_of(const Value& object) {
    if (object.is_string()) return text_methods();
    if (object.is_dict()) return dict_methods();
    if (object.is(Value::Kind::loop)) return loop_methods();
    if (object.is_sequence() && object.sequence()->is_indexed()) return sequence_methods();
    return {};
}

std::optional<Value> find_own_attribute(Runtime& runtime, const Value& object, std::string_view name) {
    if (object.is(Value::Kind::name_space)) {
        const auto found = object.name_space().attributes.find(name);
        if (found == object.name_space().attributes.end()) return std::nullopt;
        return found->second;
    }
    if (object.is(Value::Kind::loop)) {
        for (const LoopProperty& property : kLoopProperties) {
            if (property.name == name) return property.get(runtime, object.loop());
        }
    }
    const Builtin* method = find_builtin(methods_of(object), name);
    if (method == nullptr) return std::nullopt;
    runtime.charge(sizeof(Callable));
    return Value(
        std::shared_ptr<const Callable>(std::make_shared<Callable>(Callable{method, object, nullptr, nullptr})));
}

std::string object_name(const Value& object) {
    return object.is_none() ? "None" : std::string(object.type_name()) + " object";
}

Value no_attribute(Runtime& runtime, const Value& object, std::string_view name) {
    return runtime.undefined("'" + object_name(object) + "' has no attribute '" + std::string(name.substr(0, 200)) +
                             "'");
}

Value no_element(Runtime& runtime, const Value& object, const Value& key) {
    if (key.is_string()) return no_attribute(runtime, object, key.string());
    return runtime.undefined(object_name(object) + " has no element " +
                             (key.is_numeric() ? to_text(runtime, key) : std::string("of type ") + key.type_name()));
}

std::optional<Value> code_point_item(Runtime& runtime, std::string_view text, int64_t index) {
    size_t at = index < 0 ? text.size() : 0;
    if (index < 0) {
        for (; index < 0 && at > 0; ++index) at = previous_code_point(text, at);
        runtime.look_at(text.substr(at));
        if (index < 0) return std::nullopt;
    } else {
        at = code_point_offset(text, static_cast<size_t>(index));
        runtime.look_at(text.substr(0, at));
        if (at >= text.size()) return std::nullopt;
    }
    return runtime.text(std::string(text.substr(at, code_point_at(text, at).length)));
}

std::optional<Value> sequence_item(const Values& items, int64_t index) {
    const auto size = static_cast<int64_t>(items.size());
    if (index < 0) index += size;
    if (index < 0 || index >= size) return std::nullopt;
    return items[static_cast<size_t>(index)];
}

std::optional<Value> find_item(Runtime& runtime, const Value& object, const Value& key) {
    if (object.is_dict()) {
        if (!is_hashable(runtime, key)) return std::nullopt;
        const Value* value = object.dict().find_key(dict_key(runtime, key));
        return value != nullptr ? std::optional<Value>(*value) : std::nullopt;
    }
    if (!key.is_whole()) return std::nullopt;
    if (object.is_string()) return code_point_item(runtime, object.string(), key.whole());
    const bool is_indexed = object.is_sequence() && object.sequence()->is_indexed();
    return is_indexed ? sequence_item(object.sequence()->items, key.whole()) : std::nullopt;
}

// The places start, start + step, … that a slice names.
struct SliceRange {
    int64_t start, step, count;
};

int64_t slice_bound(const Runtime& runtime, const Value& value) {
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (!value.is_whole()) runtime.fail("the bounds of a slice are integers or none, found '%s'", value.type_name());
    return value.whole();
}

// Python's slice.indices.
SliceRange slice_range(const Runtime& runtime, int64_t size, const Value& start, const Value& stop, const Value& step) {
    const int64_t stride = step.is_none() ? 1 : slice_bound(runtime, step);
    if (stride == 0) runtime.fail("the step of a slice cannot be zero");
    const bool backwards = stride < 0;
    const int64_t lowest = backwards ? -1 : 0, highest = backwards ? size - 1 : size;
    const auto place = [&](const Value& bound, int64_t otherwise) {
        if (bound.is_none()) return otherwise;
        const int64_t given = slice_bound(runtime, bound);
        return std::clamp(given < 0 ? given + size : given, lowest, highest);
    };
    const int64_t first = place(start, backwards ? highest : lowest), last = place(stop, backwards ? lowest : highest);
    if (backwards ? first <= last : last <= first) return {first, stride, 0};
    const auto distance = static_cast<uint64_t>(backwards ? first - last : last - first);
    const uint64_t pace = backwards ? 0 - static_cast<uint64_t>(stride) : static_cast<uint64_t>(stride);
    return {first, stride, static_cast<int64_t>((distance - 1) / pace + 1)};
}

Value text_slice(Runtime& runtime, std::string_view text, const SliceRange& range) {
    if (range.count == 0) return runtime.text({});
    if (range.step == 1) {
        text = text.substr(code_point_offset(text, static_cast<size_t>(range.start)));
        return runtime.text(std::string(text.substr(0, code_point_offset(text, static_cast<size_t>(range.count)))));
    }
    runtime.charge(text.size() * sizeof(std::string_view));
    const auto parts = code_points(text);
    TextBuilder out(runtime);
    for (int64_t i = 0; i < range.count; ++i) out += parts[static_cast<size_t>(range.start + i * range.step)];
    return out.value();
}

}  // namespace

Value get_attribute(Runtime& runtime, const Value& object, std::string_view name) {
    if (object.is_undefined()) runtime.fail_undefined(object);
    if (std::optional<Value> own = find_own_attribute(runtime, object, name)) return std::move(*own);
    if (object.is_dict()) {
        if (const Value* value = object.dict().find(name)) return *value;
    }
    return no_attribute(runtime, object, name);
}

Value get_own_attribute(Runtime& runtime, const Value& object, std::string_view name) {
    if (object.is_undefined()) runtime.fail_undefined(object);
    std::optional<Value> own = find_own_attribute(runtime, object, name);
    return own ? std::move(*own) : no_attribute(runtime, object, name);
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
    if (object.is_undefined()) runtime.fail_undefined(object);
    if (std::optional<Value> item = find_item(runtime, object, key)) return std::move(*item);
    if (key.is_string()) {
        if (std::optional<Value> own = find_own_attribute(runtime, object, key.string())) return std::move(*own);
    }
    return no_element(runtime, object, key);
}

Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step) {
    if (object.is_undefined()) runtime.fail_undefined(object);
    if (object.is_string()) {
        const int64_t size = length_of(runtime, object);
        return text_slice(runtime, object.string(), slice_range(runtime, size, start, stop, step));
    }
    if (!object.is_sequence() || !object.sequence()->is_indexed()) {
        runtime.fail("a value of type '%s' has no slices", object.type_name());
    }
    const Sequence& sequence = *object.sequence();
    const SliceRange range = slice_range(runtime, static_cast<int64_t>(sequence.items.size()), start, stop, step);
    runtime.charge(static_cast<size_t>(range.count) * sizeof(Value));
    Values items;
    items.reserve(static_cast<size_t>(range.count));
    for (int64_t i = 0; i < range.count; ++i) {
        items.push_back(sequence.items[static_cast<size_t>(range.start + i * range.step)]);
    }
    const bool is_tuple = sequence.form == Sequence::Form::tuple;
    return is_tuple ? runtime.tuple(std::move(items)) : runtime.list(std::move(items));
}

bool has_length(const Value& value) {
    return value.is_string() || value.is_sequence() || value.is_dict() || value.is_undefined() ||
           value.is(Value::Kind::loop);
}

bool is_iterable(const Value& value) {
    return has_length(value) || value.is(Value::Kind::iterator);
}

int64_t length_of(Runtime& runtime, const Value& value) {
    if (!has_length(value)) runtime.fail("a value of type '%s' has no length", value.type_name());
    if (value.is_undefined()) return 0;
    if (value.is(Value::Kind::loop)) return value.loop().length();
    if (value.is_sequence()) return static_cast<int64_t>(value.sequence()->items.size());
    if (value.is_dict()) return static_cast<int64_t>(value.dict().members.size());
    runtime.look_at(value.string());
    return static_cast<int64_t>(count_code_points(value.string()));
}

Values items_of(Runtime& runtime, const Value& value) {
    Values items;
    if (value.is_sequence()) {
        runtime.charge(value.sequence()->items.size() * sizeof(Value));
        items = value.sequence()->items;
    } else if (value.is_dict()) {
        runtime.charge(value.dict().members.size() * sizeof(Value));
        for (const auto& [key, member] : value.dict().members) items.push_back(key);
    } else if (value.is_string()) {
        constexpr size_t bytes_each = sizeof(Value) + 64;  // a shared string with its header
        runtime.charge(value.string().size() * bytes_each);
        for (const std::string_view c : code_points(value.string())) items.push_back(Value::text(std::string(c)));
    } else if (value.is(Value::Kind::iterator)) {
        Iterator& rest = value.iterator();
        items.assign(rest.items.begin() + static_cast<std::ptrdiff_t>(rest.next), rest.items.end());
        rest.next = rest.items.size();
    } else if (!value.is_undefined()) {
        runtime.fail("a value of type '%s' cannot be iterated over", value.type_name());
    }
    runtime.step(items.size());
    return items;
}

}  // namespace gq::jinja
