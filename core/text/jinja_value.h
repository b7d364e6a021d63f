// The values that a template computes with: Python's, as far as chat templates can meet them.
// In: nothing but other values. Out: cheap copies (containers are shared and never change once made; namespaces alone
// do). Must not know syntax, builtins or limits: jinja_runtime.h makes containers and counts them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gq::jinja {

struct Sequence;
struct Dict;
struct Iterator;
struct Namespace;
struct Callable;
struct Loop;
struct Scope;      // the interpreter's
struct MacroNode;  // the syntax tree's
struct Builtin;    // jinja_builtins.h

struct None {};

// Prints as nothing, is false and empty; any other use is an error that shows `why`.
struct Undefined {
    std::shared_ptr<const std::string> why;
};

class Value {
  public:
    enum class Kind {
        undefined,
        none,
        boolean,
        integer,
        number,
        string,
        sequence,
        dict,
        iterator,
        name_space,
        callable,
        loop
    };  // in the order of Storage

    Value() : data_(None{}) {}
    Value(Undefined value) : data_(std::move(value)) {}
    Value(bool value) : data_(value) {}
    Value(int64_t value) : data_(value) {}
    Value(double value) : data_(value) {}
    Value(std::shared_ptr<const std::string> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<const Sequence> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<const Dict> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<Iterator> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<Namespace> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<const Callable> value) : data_(std::move(value)) {}
    Value(std::shared_ptr<Loop> value) : data_(std::move(value)) {}
    Value(const char*) = delete;  // would become a bool

    static Value text(std::string value) { return Value(std::make_shared<const std::string>(std::move(value))); }
    static Value undefined(std::string why) {
        return Value(Undefined{std::make_shared<const std::string>(std::move(why))});
    }

    Kind kind() const { return static_cast<Kind>(data_.index()); }
    bool is(Kind kind) const { return this->kind() == kind; }
    bool is_undefined() const { return is(Kind::undefined); }
    bool is_none() const { return is(Kind::none); }
    bool is_string() const { return is(Kind::string); }
    bool is_sequence() const { return is(Kind::sequence); }
    bool is_dict() const { return is(Kind::dict); }
    bool is_whole() const { return is(Kind::integer) || is(Kind::boolean); }  // Python: isinstance(x, int)
    bool is_numeric() const { return is_whole() || is(Kind::number); }

    // Each may be called only when kind() says so.
    const std::string& why() const { return *std::get<Undefined>(data_).why; }
    bool boolean() const { return std::get<bool>(data_); }
    int64_t whole() const { return is(Kind::boolean) ? boolean() : std::get<int64_t>(data_); }
    double number() const { return is_whole() ? static_cast<double>(whole()) : std::get<double>(data_); }
    const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
    const std::shared_ptr<const Sequence>& sequence() const { return std::get<std::shared_ptr<const Sequence>>(data_); }
    const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
    Iterator& iterator() const { return *std::get<std::shared_ptr<Iterator>>(data_); }
    Namespace& name_space() const { return *std::get<std::shared_ptr<Namespace>>(data_); }
    const Callable& callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
    Loop& loop() const { return *std::get<std::shared_ptr<Loop>>(data_); }

    bool truth() const;
    bool same_object(const Value& other) const;  // Python's `is`
    const char* type_name() const;               // as Python's messages name it: "str", "int", "dict", …
    size_t depth() const;                        // levels of containers; 0 for a scalar

  private:
    using Storage =
        std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
                     std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<Iterator>,
                     std::shared_ptr<Namespace>, std::shared_ptr<const Callable>, std::shared_ptr<Loop>>;
    Storage data_;
};

using Values = std::vector<Value>;

// A list, a tuple, a range, or what dict.keys(), values() and items() return.
struct Sequence {
    enum class Form { list, tuple, range, keys, values, items };
    Form form = Form::list;
    Values items;
    size_t depth = 1;

    // Lists, tuples and ranges are indexed; views are only walked.
    bool is_indexed() const { return form == Form::list || form == Form::tuple || form == Form::range; }
};

// Members in the order of insertion. `index` maps dict_key() of a key to its place.
struct Dict {
    std::vector<std::pair<Value, Value>> members;
    std::map<std::string, size_t, std::less<>> index;
    size_t depth = 1;

    const Value* find(std::string_view name) const;     // a string key
    const Value* find_key(std::string_view key) const;  // a key in dict_key()'s form
};

// What select, map, reverse, … return: true, walked once, neither indexed nor printed.
struct Iterator {
    Values items;
    size_t next = 0;
    size_t depth = 1;
};

struct Namespace {
    std::map<std::string, Value, std::less<>> attributes;
};

// A builtin function, a method bound to `self`, or a macro with the scope it was written in.
struct Callable {
    const Builtin* builtin = nullptr;
    Value self;
    const MacroNode* macro = nullptr;
    std::shared_ptr<Scope> scope;
};

// The `loop` of a for statement. Items are pulled only when they are needed, so that a loop's filter sees what its body
// did.
struct Loop {
    std::function<std::optional<Value>()> pull;  // empty once the statement is left
    std::deque<Value> ahead;                     // pulled, not yet the current item
    std::optional<Value> previous, current;
    int64_t index0 = -1;

    bool advance();
    const Value* peek();  // nullptr at the end
    int64_t length();
};

// The string under which a dict files a string key; jinja_operators.h has the general form.
std::string dict_key(std::string_view name);

}  // namespace gq::jinja
