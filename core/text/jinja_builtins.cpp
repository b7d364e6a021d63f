// Binding of arguments to the parameters of a table's row. See jinja_builtins.h.
// In: a row's parameters; positional and named arguments of a call. Out: one value a parameter, or Error naming it.
// Must not know what a filter, test, function or method does.
#include "core/text/jinja_builtins.h"

#include <algorithm>

#include "core/text/jinja_access.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace gq::jinja {

Bound::Bound(Runtime& runtime, const Builtin& builtin, Arguments arguments) : runtime_(runtime), builtin_(builtin) {
    std::string_view list = builtin.parameters;
    std::vector<bool> is_optional;
    while (!list.empty()) {
        std::string_view name = list.substr(0, list.find(' '));
        list.remove_prefix(std::min(list.size(), name.size() + 1));
        if (name == "*") {
            collects_ = true;
            continue;
        }
        is_optional.push_back(name.ends_with('?'));
        if (is_optional.back()) name.remove_suffix(1);
        names_.push_back(name);
    }
    values_.resize(names_.size());
    given_.resize(names_.size());
    for (size_t i = 0; i < arguments.positional.size(); ++i) {
        if (i < names_.size()) {
            values_[i] = std::move(arguments.positional[i]);
            given_[i] = true;
        } else if (collects_) {
            rest_.positional.push_back(std::move(arguments.positional[i]));
        } else {
            runtime.fail("'%s' takes at most %zu arguments, found %zu", builtin.name, names_.size(),
                         arguments.positional.size());
        }
    }
    for (auto& [name, value] : arguments.named) place_named(std::move(name), std::move(value));
    for (size_t i = 0; i < names_.size(); ++i) {
        if (given_[i] || is_optional[i]) continue;
        runtime.fail("'%s' needs the argument '%s'", builtin.name, std::string(names_[i]).c_str());
    }
}

void Bound::place_named(std::string name, Value value) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    const auto i = static_cast<size_t>(found - names_.begin());
    if (found == names_.end()) {
        if (!collects_) runtime_.fail("'%s' takes no argument '%s'", builtin_.name, name.c_str());
        rest_.named.emplace_back(std::move(name), std::move(value));
        return;
    }
    if (given_[i]) runtime_.fail("'%s' is given the argument '%s' twice", builtin_.name, name.c_str());
    values_[i] = std::move(value);
    given_[i] = true;
}

void Bound::fail_type(size_t i, const char* expected) const {
    if (values_[i].is_undefined()) runtime_.fail_undefined(values_[i]);
    runtime_.fail("'%s' needs %s as '%s', found '%s'", builtin_.name, expected, std::string(names_[i]).c_str(),
                  values_[i].type_name());
}

const std::string& Bound::string(size_t i) const {
    if (!values_[i].is_string()) fail_type(i, "a string");
    return values_[i].string();
}

int64_t Bound::whole(size_t i, int64_t otherwise) const {
    if (!given_[i]) return otherwise;
    if (!values_[i].is_whole()) fail_type(i, "an integer");
    return values_[i].whole();
}

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const Builtin& row) { return row.name == name; });
    return found == table.end() ? nullptr : &*found;
}

const Builtin* find_filter(std::string_view name) {
    const Builtin* filter = find_builtin(text_filters(), name);
    return filter != nullptr ? filter : find_builtin(sequence_filters(), name);
}

Value apply(Runtime& runtime, const Builtin& builtin, Arguments arguments) {
    Bound bound(runtime, builtin, std::move(arguments));
    return builtin.apply(runtime, bound);
}

Value replaced(Runtime& runtime, std::string_view text, std::string_view old, std::string_view replacement,
               int64_t count) {
    runtime.look_at(text);
    TextBuilder out(runtime);
    const Search search(old);
    size_t at = 0;
    for (int64_t done = 0; count < 0 || done < count; ++done) {
        const size_t found = search.find(text, at);
        if (found == std::string_view::npos) break;
        runtime.step();
        (out += text.substr(at, found - at)) += replacement;
        at = found + old.size();
        if (!old.empty()) continue;
        if (at >= text.size()) return out.value();  // the replacement stands around every code point
        const size_t length = code_point_at(text, at).length;
        out += text.substr(at, length);
        at += length;
    }
    out += text.substr(at);
    return out.value();
}

Value padded(Runtime& runtime, std::string_view text, size_t left, std::string_view fill, size_t right) {
    TextBuilder out(runtime);
    out.repeat(fill, left);
    out += text;
    out.repeat(fill, right);
    return out.value();
}

// An odd blank goes to the left when the width is odd, as str.center.
Value centered(Runtime& runtime, std::string_view text, int64_t width, std::string_view fill) {
    const int64_t blanks = std::max<int64_t>(0, width - static_cast<int64_t>(count_code_points(text)));
    const int64_t left = blanks / 2 + (blanks & width & 1);
    return padded(runtime, text, static_cast<size_t>(left), fill, static_cast<size_t>(blanks - left));
}

Dict dict_of(Runtime& runtime, const Value* pairs, Arguments& rest) {
    Dict dict;
    if (pairs != nullptr && pairs->is_dict()) {
        for (const auto& [key, value] : pairs->dict().members) insert(runtime, dict, key, value);
    } else if (pairs != nullptr) {
        for (const Value& pair : items_of(runtime, *pairs)) {
            const Values parts = items_of(runtime, pair);
            if (parts.size() != 2) runtime.fail("a dict needs pairs of key and value, found %zu values", parts.size());
            insert(runtime, dict, parts[0], parts[1]);
        }
    }
    if (!rest.positional.empty()) runtime.fail("a dict is made of one value and named arguments");
    for (auto& [name, value] : rest.named) insert(runtime, dict, runtime.text(name), std::move(value));
    return dict;
}

}  // namespace gq::jinja
