// Truth, identity, type names and depth of values; the walk of `loop`. See jinja_value.h.
// In: values. Out: facts about them, by Python's rules; the next item of a loop.
// Must not know operators, syntax or scopes.
#include "core/text/jinja_value.h"

#include <algorithm>

namespace gq::jinja {

namespace {

constexpr const char* kTypeNames[] = {"Undefined", "None", "bool",      "int",       "float",    "str",
                                      "list",      "dict", "generator", "Namespace", "function", "LoopContext"};
constexpr const char* kSequenceNames[] = {"list", "tuple", "range", "dict_keys", "dict_values", "dict_items"};

struct Depth {
    size_t operator()(const std::shared_ptr<const Sequence>& value) const { return value->depth; }
    size_t operator()(const std::shared_ptr<const Dict>& value) const { return value->depth; }
    size_t operator()(const std::shared_ptr<Iterator>& value) const { return value->depth; }
    size_t operator()(const std::shared_ptr<const Callable>& value) const { return value->self.depth() + 1; }
    size_t operator()(const std::shared_ptr<Loop>&) const { return 1; }
    size_t operator()(const auto&) const { return 0; }
};

}  // namespace

bool Value::truth() const {
    struct Truth {
        bool operator()(const Undefined&) const { return false; }
        bool operator()(const None&) const { return false; }
        bool operator()(bool value) const { return value; }
        bool operator()(int64_t value) const { return value != 0; }
        bool operator()(double value) const { return value != 0; }
        bool operator()(const std::shared_ptr<const std::string>& value) const { return !value->empty(); }
        bool operator()(const std::shared_ptr<const Sequence>& value) const { return !value->items.empty(); }
        bool operator()(const std::shared_ptr<const Dict>& value) const { return !value->members.empty(); }
        bool operator()(const std::shared_ptr<Iterator>&) const { return true; }
        bool operator()(const std::shared_ptr<Namespace>&) const { return true; }
        bool operator()(const std::shared_ptr<const Callable>&) const { return true; }
        bool operator()(const std::shared_ptr<Loop>& value) const { return value->length() != 0; }
    };
    return std::visit(Truth{}, data_);
}

bool Value::same_object(const Value& other) const {
    if (kind() != other.kind()) return false;
    struct Same {
        const Value& other;
        bool operator()(const Undefined& value) const { return value.why == std::get<Undefined>(other.data_).why; }
        bool operator()(const None&) const { return true; }
        bool operator()(bool value) const { return value == other.boolean(); }
        bool operator()(int64_t value) const { return value == other.whole(); }
        bool operator()(double value) const { return value == other.number(); }
        bool operator()(const std::shared_ptr<const std::string>& value) const { return *value == other.string(); }
        bool operator()(const std::shared_ptr<const Sequence>& value) const { return value == other.sequence(); }
        bool operator()(const std::shared_ptr<const Dict>& value) const { return value.get() == &other.dict(); }
        bool operator()(const std::shared_ptr<Iterator>& value) const { return value.get() == &other.iterator(); }
        bool operator()(const std::shared_ptr<Namespace>& value) const { return value.get() == &other.name_space(); }
        bool operator()(const std::shared_ptr<const Callable>& value) const { return value.get() == &other.callable(); }
        bool operator()(const std::shared_ptr<Loop>& value) const { return value.get() == &other.loop(); }
    };
    return std::visit(Same{other}, data_);
}

const char* Value::type_name() const {
    return is_sequence() ? kSequenceNames[static_cast<size_t>(sequence()->form)] : kTypeNames[data_.index()];
}

size_t Value::depth() const {
    return std::visit(Depth{}, data_);
}

std::string dict_key(std::string_view name) {
    std::string key = "s";
    return key.append(name);
}

const Value* Dict::find_key(std::string_view key) const {
    const auto place = index.find(key);
    return place == index.end() ? nullptr : &members[place->second].second;
}

const Value* Dict::find(std::string_view name) const {
    return find_key(dict_key(name));
}

const Value* Loop::peek() {
    if (ahead.empty() && pull) {
        if (std::optional<Value> item = pull()) ahead.push_back(std::move(*item));
    }
    return ahead.empty() ? nullptr : &ahead.front();
}

bool Loop::advance() {
    if (!peek()) return false;
    previous = std::move(current);
    current = std::move(ahead.front());
    ahead.pop_front();
    ++index0;
    return true;
}

int64_t Loop::length() {
    while (pull) {
        std::optional<Value> item = pull();
        if (!item) break;
        ahead.push_back(std::move(*item));
    }
    return index0 + 1 + static_cast<int64_t>(ahead.size());
}

}  // namespace gq::jinja
