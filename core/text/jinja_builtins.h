// Filters, tests, functions and methods: tables of one row each, and the binding of arguments to their parameters.
// In: arguments. Out: a value. A name that is in no table is the caller's error to report; an argument that does not
// fit is an Error here. Must not know syntax or scopes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text/jinja_runtime.h"

namespace gq::jinja {

struct Arguments {
    Values positional;
    std::vector<std::pair<std::string, Value>> named;
};

// The arguments of one call, in the order of the parameters.
class Bound {
  public:
    Bound(Runtime& runtime, const Builtin& builtin, Arguments arguments);

    bool has(size_t i) const { return given_[i]; }
    const Value& operator[](size_t i) const { return values_[i]; }  // none when not given
    Arguments& rest() { return rest_; }                             // what "*" collected

    // The argument as Python would take it for that parameter; an Error names the parameter otherwise.
    const std::string& string(size_t i) const;
    int64_t whole(size_t i, int64_t otherwise) const;
    bool truth(size_t i, bool otherwise = false) const { return has(i) ? values_[i].truth() : otherwise; }

  private:
    [[noreturn]] void fail_type(size_t i, const char* expected) const;
    void place_named(std::string name, Value value);

    Runtime& runtime_;
    const Builtin& builtin_;
    std::vector<std::string_view> names_;
    Values values_;
    std::vector<bool> given_;
    bool collects_ = false;
    Arguments rest_;
};

// `parameters`: names separated by blanks; "?" behind a name makes it optional, a last "*" collects what is left.
struct Builtin {
    const char* name;
    const char* parameters;
    Value (*apply)(Runtime& runtime, Bound& arguments);
};

std::span<const Builtin> text_filters();  // the value is the first argument, here and below
std::span<const Builtin> sequence_filters();
std::span<const Builtin> tests();      // their values are booleans
std::span<const Builtin> functions();  // the names that every template sees
std::span<const Builtin> text_methods();
std::span<const Builtin> sequence_methods();
std::span<const Builtin> dict_methods();
std::span<const Builtin> loop_methods();

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name);  // nullptr when absent
const Builtin* find_filter(std::string_view name);
Value apply(Runtime& runtime, const Builtin& builtin, Arguments arguments);

// What filters and methods share. A negative count replaces all.
Value replaced(Runtime& runtime, std::string_view text, std::string_view old, std::string_view replacement,
               int64_t count);
Value padded(Runtime& runtime, std::string_view text, size_t left, std::string_view fill, size_t right);
Value centered(Runtime& runtime, std::string_view text, int64_t width, std::string_view fill);
Dict dict_of(Runtime& runtime, const Value* pairs, Arguments& rest);  // dict(pairs, **named)

}  // namespace gq::jinja
