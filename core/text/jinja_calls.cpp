// Calls of filters, functions, methods and macros: the interpreter's part that evaluates and spreads arguments.
// In: call expressions and the scopes around them. Out: the value of the call, or Error. See jinja_interpreter.h.
// Must not know what any one filter or function does: the tables of jinja_builtins.h do.
#include <algorithm>
#include <iterator>

#include "core/text/jinja_access.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_operators.h"

namespace gq::jinja {

namespace {

std::optional<Value> take_named(Arguments& arguments, std::string_view name) {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (found == arguments.named.end()) return std::nullopt;
    Value value = std::move(found->second);
    arguments.named.erase(found);
    return value;
}

}  // namespace

Arguments Interpreter::collect(const CallArguments& arguments, Arguments first) {
    for (const ExprPtr& argument : arguments.positional) first.positional.push_back(evaluate(*argument));
    for (const auto& [name, argument] : arguments.named) first.named.emplace_back(name, evaluate(*argument));
    if (arguments.unpacked) {
        for (Value& item : items_of(runtime_, evaluate(*arguments.unpacked)))
            first.positional.push_back(std::move(item));
    }
    if (!arguments.unpacked_named) return first;
    const Value members = evaluate(*arguments.unpacked_named);
    if (!members.is_dict()) runtime_.fail("'**' needs a dict, found '%s'", members.type_name());
    for (const auto& [name, value] : members.dict().members) {
        if (!name.is_string()) runtime_.fail("'**' needs strings as keys, found '%s'", name.type_name());
        first.named.emplace_back(name.string(), value);
    }
    return first;
}

Value Interpreter::apply_to(const AppliedNode& node, Value value) {
    Arguments arguments;
    arguments.positional.push_back(std::move(value));
    return apply(runtime_, *node.builtin, collect(node.arguments, std::move(arguments)));
}

Value Interpreter::apply_all(const std::vector<Expr>& filters, Value value) {
    for (const Expr& filter : filters) {
        const Runtime::Frame frame(runtime_, filter.line);
        value = apply_to(std::get<AppliedNode>(filter.node), std::move(value));
    }
    return value;
}

Value Interpreter::call(const CallNode& node, Arguments extra) {
    const Value callee = evaluate(*node.callee);
    if (callee.is_undefined()) runtime_.fail("this cannot be called: %s", callee.why().c_str());
    if (!callee.is(Value::Kind::callable)) runtime_.fail("a value of type '%s' cannot be called", callee.type_name());
    const Callable& function = callee.callable();
    Arguments arguments;
    if (!function.self.is_none()) arguments.positional.push_back(function.self);
    arguments = collect(node.arguments, std::move(arguments));
    std::move(extra.named.begin(), extra.named.end(), std::back_inserter(arguments.named));
    if (function.macro != nullptr) return call_macro(function, std::move(arguments));
    return apply(runtime_, *function.builtin, std::move(arguments));
}

Value Interpreter::macro_value(const MacroNode& macro) {
    runtime_.charge(sizeof(Callable));
    closures_.push_back(scope_);
    return Value(std::shared_ptr<const Callable>(std::make_shared<Callable>(Callable{nullptr, {}, &macro, scope_})));
}

Value Interpreter::call_macro(const Callable& callee, Arguments arguments) {
    const MacroNode& macro = *callee.macro;
    const Entered scope(*this, callee.scope);
    bind_parameters(macro, arguments);
    bind_rest(macro, arguments);
    TextBuilder inner(runtime_);
    TextBuilder* outer = std::exchange(out_, &inner);
    execute(macro.body);
    out_ = outer;
    return inner.value();
}

// A default is computed in the macro's scope, and so sees the parameters before it.
void Interpreter::bind_parameters(const MacroNode& macro, Arguments& arguments) {
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
        const auto& [name, otherwise] = macro.parameters[i];
        if (i < arguments.positional.size()) {
            define(name, arguments.positional[i]);
        } else if (std::optional<Value> named = take_named(arguments, name)) {
            define(name, std::move(*named));
        } else if (otherwise) {
            define(name, evaluate(*otherwise));
        } else {
            define(name, runtime_.undefined("parameter '" + name + "' was not provided"));
        }
    }
    const size_t taken = std::min(arguments.positional.size(), macro.parameters.size());
    arguments.positional.erase(arguments.positional.begin(),
                               arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken));
}

// caller, varargs and kwargs exist where the macro's body mentions them; what nobody takes is an error.
void Interpreter::bind_rest(const MacroNode& macro, Arguments& arguments) {
    const bool declares_caller = std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                             [](const auto& parameter) { return parameter.name == "caller"; });
    if (macro.uses_caller && !declares_caller) {
        std::optional<Value> caller = take_named(arguments, "caller");
        define("caller", caller ? std::move(*caller) : runtime_.undefined("No caller defined"));
    }
    if (macro.uses_kwargs) {
        Dict members;
        for (auto& [name, value] : arguments.named) insert(runtime_, members, Value::text(name), std::move(value));
        define("kwargs", runtime_.dict(std::move(members)));
    } else if (!arguments.named.empty()) {
        runtime_.fail("macro '%s' takes no argument '%s'", macro.name.c_str(), arguments.named.front().first.c_str());
    }
    if (macro.uses_varargs) {
        define("varargs", runtime_.tuple(std::move(arguments.positional)));
    } else if (!arguments.positional.empty()) {
        runtime_.fail("macro '%s' takes at most %zu arguments, found %zu", macro.name.c_str(), macro.parameters.size(),
                      macro.parameters.size() + arguments.positional.size());
    }
}

}  // namespace gq::jinja
