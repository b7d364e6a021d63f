// The functions that every template sees: one row each. Jinja's that Hugging Face's environment keeps, and its own two.
// In: arguments. Out: values, or Error.
// Must not know where the time comes from: the Runtime holds it.
#include <locale.h>

#include <limits>

#include "core/text/jinja_access.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"

namespace gq::jinja {

namespace {

constexpr int64_t kMaxRange = 100000;  // the sandbox's

Value range(Runtime& runtime, Bound& arguments) {
    const bool has_start = arguments.has(1);
    const int64_t start = has_start ? arguments.whole(0, 0) : 0;
    const int64_t stop = arguments.whole(has_start ? 1 : 0, 0), step = arguments.whole(2, 1);
    if (step == 0) runtime.fail("the step of a range cannot be zero");
    const bool is_empty = step > 0 ? start >= stop : start <= stop;
    const uint64_t distance = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                       : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
    const uint64_t pace = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
    const uint64_t count = is_empty ? 0 : (distance - 1) / pace + 1;
    if (count > kMaxRange)
        runtime.fail("a range may have %lld items, not %llu", static_cast<long long>(kMaxRange),
                     static_cast<unsigned long long>(count));
    runtime.step(count);
    Values items;
    for (uint64_t i = 0; i < count; ++i)
        items.push_back(Value(static_cast<int64_t>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(step))));
    return runtime.sequence(Sequence::Form::range, std::move(items));
}

Value dict(Runtime& runtime, Bound& arguments) {
    return runtime.dict(dict_of(runtime, arguments.has(0) ? &arguments[0] : nullptr, arguments.rest()));
}

Value name_space(Runtime& runtime, Bound& arguments) {
    const Dict members = dict_of(runtime, arguments.has(0) ? &arguments[0] : nullptr, arguments.rest());
    std::map<std::string, Value, std::less<>> attributes;
    for (const auto& [name, value] : members.members) {
        if (!name.is_string()) runtime.fail("the names of a namespace must be strings, found '%s'", name.type_name());
        if (name.string().starts_with('_')) {
            runtime.fail("the namespace attribute '%s' starts with an underscore", name.string().c_str());
        }
        attributes.emplace(name.string(), value);
    }
    return runtime.name_space(std::move(attributes));
}

// The template refuses this conversation: the caller's mistake, in the template's words.
Value raise_exception(Runtime& runtime, Bound& arguments) {
    template_error(Status::invalid_argument, runtime.line(), "%s", to_text(runtime, arguments[0]).c_str());
}

// In the C locale, whatever the host program has set: prompts must not depend on it.
Value strftime_now(Runtime& runtime, Bound& arguments) {
    static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
    const std::string format = arguments.string(0) + " ";  // never empty, so that 0 means that it did not fit
    if (format.find('\0') != std::string::npos) runtime.fail("'strftime_now' needs a format without zero bytes");
    char text[1024];
    const size_t length = strftime_l(text, sizeof text, format.c_str(), &runtime.now(), c_locale);
    if (length == 0) runtime.fail("'strftime_now' makes more than %zu bytes", sizeof text);
    return runtime.text(std::string(text, length - 1));
}

template <char name>
Value refuse(Runtime& runtime, Bound&) {
    constexpr const char* names[] = {"cycler", "joiner", "lipsum"};
    template_error(Status::unsupported, runtime.line(), "function '%s' is not supported",
                   names[static_cast<size_t>(name)]);
}

// "0" is no name that a template can write: the first argument is positional only.
constexpr Builtin kFunctions[] = {
    {"cycler", "*", refuse<0>},
    {"dict", "0? *", dict},
    {"joiner", "*", refuse<1>},
    {"lipsum", "*", refuse<2>},
    {"namespace", "0? *", name_space},
    {"raise_exception", "message", raise_exception},
    {"range", "start stop? step?", range},
    {"strftime_now", "format", strftime_now},
};

}  // namespace

std::span<const Builtin> functions() {
    return kFunctions;
}

}  // namespace gq::jinja
