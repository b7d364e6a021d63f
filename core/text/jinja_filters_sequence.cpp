// Filters whose value is a container: one row each. Jinja 3.1's.
// In: the value and the filter's arguments. Out: the filtered value, or Error. Must not know syntax or scopes.
// Where Jinja returns a generator, an Iterator is returned: it is true, walked once and has no length.
#include <algorithm>
#include <charconv>
#include <compare>
#include <functional>
#include <numeric>
#include <set>

#include "core/text/jinja_access.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace gq::jinja {

namespace {

// "a.0.b" → the keys "a", 0, "b"; an integer is one key; none is no key.
Values attribute_path(const Runtime& runtime, const Value& attribute) {
    if (attribute.is_none()) return {};
    if (!attribute.is_string()) return {attribute};
    Values path;
    std::string_view rest = attribute.string();
    while (true) {
        const std::string_view part = rest.substr(0, rest.find('.'));
        int64_t index = 0;
        const bool is_index = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
        if (is_index && std::from_chars(part.data(), part.data() + part.size(), index).ec != std::errc()) {
            runtime.fail("an attribute's index does not fit into 64 bits");
        }
        path.push_back(is_index ? Value(index) : Value::text(std::string(part)));
        if (part.size() == rest.size()) return path;
        rest.remove_prefix(part.size() + 1);
    }
}

Value follow(Runtime& runtime, Value item, const Values& path, const Value& otherwise = {}) {
    for (const Value& key : path) {
        item = get_item(runtime, item, key);
        if (item.is_undefined() && !otherwise.is_none()) item = otherwise;
    }
    return item;
}

Value without_case(Runtime& runtime, const Value& value) {
    return value.is_string() ? runtime.text(lower(value.string())) : value;
}

// The key by which sort, unique, min and max compare: the attribute, in lower case unless case matters.
struct Key {
    Values path;
    bool case_sensitive;

    Value of(Runtime& runtime, const Value& item) const {
        const Value value = follow(runtime, item, path);
        return case_sensitive ? value : without_case(runtime, value);
    }
};

Key key_of(const Runtime& runtime, const Bound& arguments, size_t case_sensitive, size_t attribute) {
    return {attribute_path(runtime, arguments[attribute]), arguments.truth(case_sensitive)};
}

// The items in the order of their keys; equal keys stay as they stood.
Values sorted(Runtime& runtime, const Values& items, const Values& keys, bool reverse) {
    std::vector<size_t> places(items.size());
    std::iota(places.begin(), places.end(), size_t{0});
    std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
        return std::is_lt(reverse ? order(runtime, keys[b], keys[a]) : order(runtime, keys[a], keys[b]));
    });
    Values out;
    for (const size_t place : places) out.push_back(items[place]);
    return out;
}

Value sort(Runtime& runtime, Bound& arguments) {
    const Values items = items_of(runtime, arguments[0]);
    std::vector<Values> paths;
    if (arguments[3].is_string()) {  // "a,b": by a, then by b
        std::string_view rest = arguments[3].string();
        for (size_t comma = 0; comma != std::string_view::npos; rest.remove_prefix(std::min(rest.size(), comma + 1))) {
            comma = rest.find(',');
            paths.push_back(attribute_path(runtime, runtime.text(std::string(rest.substr(0, comma)))));
            if (comma == std::string_view::npos) break;
        }
    } else {
        paths.push_back(attribute_path(runtime, arguments[3]));
    }
    Values keys;
    for (const Value& item : items) {
        Values parts;
        for (const Values& path : paths) parts.push_back(Key{path, arguments.truth(2)}.of(runtime, item));
        keys.push_back(runtime.list(std::move(parts)));
    }
    return runtime.list(sorted(runtime, items, keys, arguments.truth(1)));
}

Value dictsort(Runtime& runtime, Bound& arguments) {
    if (!arguments[0].is_dict()) runtime.fail("'dictsort' needs a dict, found '%s'", arguments[0].type_name());
    const std::string by = arguments.has(2) ? arguments.string(2) : "key";
    if (by != "key" && by != "value") runtime.fail("'dictsort' sorts by key or value, found '%s'", by.c_str());
    Values items, keys;
    for (const auto& [key, value] : arguments[0].dict().members) {
        items.push_back(runtime.tuple({key, value}));
        const Value& compared = by == "key" ? key : value;
        keys.push_back(arguments.truth(1) ? compared : without_case(runtime, compared));
    }
    return runtime.list(sorted(runtime, items, keys, arguments.truth(3)));
}

Value unique(Runtime& runtime, Bound& arguments) {
    const Key key = key_of(runtime, arguments, 1, 2);
    std::set<std::string> seen;
    Values out;
    for (const Value& item : items_of(runtime, arguments[0])) {
        if (seen.insert(dict_key(runtime, key.of(runtime, item))).second) out.push_back(item);
    }
    return runtime.iterator(std::move(out));
}

template <bool wants_largest>
Value extreme(Runtime& runtime, Bound& arguments) {
    const Key key = key_of(runtime, arguments, 1, 2);
    const Values items = items_of(runtime, arguments[0]);
    if (items.empty()) return runtime.undefined("No aggregated item, sequence was empty.");
    size_t best = 0;
    Value best_key = key.of(runtime, items[0]);
    for (size_t i = 1; i < items.size(); ++i) {
        Value candidate = key.of(runtime, items[i]);
        const auto compared = order(runtime, candidate, best_key);
        if (wants_largest ? std::is_gt(compared) : std::is_lt(compared)) {
            best = i;
            best_key = std::move(candidate);
        }
    }
    return items[best];
}

Value sum(Runtime& runtime, Bound& arguments) {
    const Values path = attribute_path(runtime, arguments[1]);
    Value total = arguments.has(2) ? arguments[2] : Value(int64_t{0});
    if (total.is_string()) runtime.fail("'sum' cannot add strings; use 'join'");
    for (const Value& item : items_of(runtime, arguments[0]))
        total = added(runtime, total, follow(runtime, item, path));
    return total;
}

Value join(Runtime& runtime, Bound& arguments) {
    const Values path = attribute_path(runtime, arguments[2]);
    const std::string separator = arguments.has(1) ? to_text(runtime, arguments[1]) : "";
    TextBuilder out(runtime);
    bool is_first = true;
    for (const Value& item : items_of(runtime, arguments[0])) {
        if (!is_first) out += separator;
        append_text(runtime, follow(runtime, item, path), out);
        is_first = false;
    }
    return out.value();
}

Value or_default(Runtime& runtime, Bound& arguments) {
    const bool wants_truth = arguments.truth(2);
    if (!arguments[0].is_undefined() && (!wants_truth || arguments[0].truth())) return arguments[0];
    return arguments.has(1) ? arguments[1] : runtime.text({});
}

bool is_indexed(const Value& value) {
    return value.is_string() || (value.is_sequence() && value.sequence()->is_indexed());
}

Value first(Runtime& runtime, Bound& arguments) {
    const Value& value = arguments[0];
    if (is_indexed(value) && value.truth()) return get_item(runtime, value, Value(int64_t{0}));
    if (value.is(Value::Kind::iterator)) {
        Iterator& rest = value.iterator();
        if (rest.next < rest.items.size()) return rest.items[rest.next++];
    } else {
        const Values items = items_of(runtime, value);
        if (!items.empty()) return items.front();
    }
    return runtime.undefined("No first item, sequence was empty.");
}

void require_reversible(const Runtime& runtime, const Value& value) {
    if (value.is(Value::Kind::iterator)) runtime.fail("a value of type 'generator' has no end; make it a list first");
}

Value last(Runtime& runtime, Bound& arguments) {
    require_reversible(runtime, arguments[0]);
    if (is_indexed(arguments[0]) && arguments[0].truth()) return get_item(runtime, arguments[0], Value(int64_t{-1}));
    const Values items = items_of(runtime, arguments[0]);
    return items.empty() ? runtime.undefined("No last item, sequence was empty.") : items.back();
}

Value reverse(Runtime& runtime, Bound& arguments) {
    Values items = items_of(runtime, arguments[0]);
    std::reverse(items.begin(), items.end());
    if (arguments[0].is(Value::Kind::iterator)) return runtime.list(std::move(items));
    if (!arguments[0].is_string()) return runtime.iterator(std::move(items));
    TextBuilder out(runtime);
    for (const Value& item : items) out += item.string();
    return out.value();
}

Value member_items(Runtime& runtime, Bound& arguments) {
    Values pairs;
    if (!arguments[0].is_undefined()) {
        if (!arguments[0].is_dict()) runtime.fail("'items' needs a dict, found '%s'", arguments[0].type_name());
        for (const auto& [key, value] : arguments[0].dict().members) pairs.push_back(runtime.tuple({key, value}));
    }
    return runtime.iterator(std::move(pairs));
}

Value batch(Runtime& runtime, Bound& arguments) {
    const auto size = static_cast<size_t>(std::max<int64_t>(1, arguments.whole(1, 1)));
    Values batches, present;
    for (const Value& item : items_of(runtime, arguments[0])) {
        if (present.size() == size) batches.push_back(runtime.list(std::exchange(present, {})));
        present.push_back(item);
    }
    if (!present.empty()) {
        if (!arguments[2].is_none() && present.size() < size) {
            runtime.charge((size - present.size()) * sizeof(Value));
            present.resize(size, arguments[2]);
        }
        batches.push_back(runtime.list(std::move(present)));
    }
    return runtime.iterator(std::move(batches));
}

// --- filters that apply others to each item ---

const Builtin& named_builtin(const Runtime& runtime, const Value& name, const char* what,
                             const Builtin* (*find)(std::string_view)) {
    if (!name.is_string()) runtime.fail("the name of a %s must be a string, found '%s'", what, name.type_name());
    const Builtin* found = find(name.string());
    if (found == nullptr) {
        template_error(Status::unsupported, runtime.line(), "%s '%s' is not supported", what, name.string().c_str());
    }
    return *found;
}

// The arguments after the first `skip`, with the item in front.
Arguments with_item(const Arguments& rest, size_t skip, const Value& item) {
    Arguments arguments{{item}, rest.named};
    arguments.positional.insert(arguments.positional.end(), rest.positional.begin() + static_cast<std::ptrdiff_t>(skip),
                                rest.positional.end());
    return arguments;
}

Value map_attribute(Runtime& runtime, const Value& items, const Arguments& rest) {
    Value attribute, otherwise;
    for (const auto& [name, value] : rest.named) {
        if (name != "attribute" && name != "default") runtime.fail("'map' takes no argument '%s'", name.c_str());
        (name == "attribute" ? attribute : otherwise) = value;
    }
    const Values path = attribute_path(runtime, attribute);
    Values out;
    for (const Value& item : items_of(runtime, items)) out.push_back(follow(runtime, item, path, otherwise));
    return runtime.iterator(std::move(out));
}

Value map(Runtime& runtime, Bound& arguments) {
    const Arguments& rest = arguments.rest();
    if (!arguments[0].truth()) return runtime.iterator({});
    const bool has_attribute =
        std::any_of(rest.named.begin(), rest.named.end(), [](const auto& a) { return a.first == "attribute"; });
    if (rest.positional.empty() && has_attribute) return map_attribute(runtime, arguments[0], rest);
    if (rest.positional.empty()) runtime.fail("'map' needs the name of a filter or an attribute");
    const Builtin& filter = named_builtin(runtime, rest.positional[0], "filter", find_filter);
    Values out;
    for (const Value& item : items_of(runtime, arguments[0])) {
        const Runtime::Frame frame(runtime, runtime.line());  // map may name map
        out.push_back(apply(runtime, filter, with_item(rest, 1, item)));
    }
    return runtime.iterator(std::move(out));
}

// select, reject (the test sees the item) and selectattr, rejectattr (it sees an attribute). Without a test, truth
// decides.
template <bool wanted, bool by_attribute>
Value choose(Runtime& runtime, Bound& arguments) {
    const Arguments& rest = arguments.rest();
    if (!arguments[0].truth()) return runtime.iterator({});
    constexpr size_t skip = by_attribute;
    if (rest.positional.size() < skip) runtime.fail("the name of an attribute is missing");
    const Values path = by_attribute ? attribute_path(runtime, rest.positional[0]) : Values();
    const auto find_test = [](std::string_view name) { return find_builtin(tests(), name); };
    const Builtin* test =
        rest.positional.size() > skip ? &named_builtin(runtime, rest.positional[skip], "test", find_test) : nullptr;
    Values out;
    for (const Value& item : items_of(runtime, arguments[0])) {
        const Value seen = follow(runtime, item, path);
        const bool holds = (test != nullptr ? apply(runtime, *test, with_item(rest, skip + 1, seen)) : seen).truth();
        if (holds == wanted) out.push_back(item);
    }
    return runtime.iterator(std::move(out));
}

Value own_attribute(Runtime& runtime, Bound& arguments) {
    return get_own_attribute(runtime, arguments[0], arguments.string(1));
}

Value length(Runtime& runtime, Bound& arguments) {
    return Value(length_of(runtime, arguments[0]));
}
Value list(Runtime& runtime, Bound& arguments) {
    return runtime.list(items_of(runtime, arguments[0]));
}

constexpr Builtin kSequenceFilters[] = {
    {"attr", "value name", own_attribute},
    {"batch", "value linecount fill_with?", batch},
    {"count", "value", length},
    {"d", "value default_value? boolean?", or_default},
    {"default", "value default_value? boolean?", or_default},
    {"dictsort", "value case_sensitive? by? reverse?", dictsort},
    {"first", "value", first},
    {"items", "value", member_items},
    {"join", "value d? attribute?", join},
    {"last", "value", last},
    {"length", "value", length},
    {"list", "value", list},
    {"map", "value *", map},
    {"max", "value case_sensitive? attribute?", extreme<true>},
    {"min", "value case_sensitive? attribute?", extreme<false>},
    {"reject", "value *", choose<false, false>},
    {"rejectattr", "value *", choose<false, true>},
    {"reverse", "value", reverse},
    {"select", "value *", choose<true, false>},
    {"selectattr", "value *", choose<true, true>},
    {"sort", "value reverse? case_sensitive? attribute?", sort},
    {"sum", "value attribute? start?", sum},
    {"unique", "value case_sensitive? attribute?", unique},
};

}  // namespace

std::span<const Builtin> sequence_filters() {
    return kSequenceFilters;
}

}  // namespace gq::jinja
