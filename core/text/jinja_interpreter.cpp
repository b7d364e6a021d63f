// Scopes, statements and expressions at work. See jinja_interpreter.h.
// In: the nodes of jinja_ast.h. Out: the prompt's text, values of expressions, or Error with the line of the node.
// Must not know how nodes were parsed, nor what filters, tests and methods do.
#include "core/text/jinja_interpreter.h"

#include <algorithm>

#include "core/text/jinja_access.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"

namespace gq::jinja {

namespace {

constexpr size_t kNameBytes = 128;  // what a name in a scope costs

}  // namespace

// --- scopes ---

Interpreter::Interpreter(const Variables& variables, const std::tm& now, const Limits& limits)
    : runtime_(limits, now), scope_(std::make_shared<Scope>()) {
    for (const auto& [name, value] : variables) scope_->names.insert_or_assign(name, value);
    scope_ = new_scope(scope_);
}

Interpreter::~Interpreter() {
    for (const auto& scope : closures_) scope->names.clear();
}

std::shared_ptr<Scope> Interpreter::new_scope(std::shared_ptr<Scope> parent) {
    runtime_.charge(sizeof(Scope));
    auto scope = std::make_shared<Scope>();
    scope->depth = parent->depth + 1;
    if (scope->depth > runtime_.limits().evaluation_depth) {
        template_error(Status::unsupported, runtime_.line(), "scopes are nested more than %zu levels deep",
                       runtime_.limits().evaluation_depth);
    }
    scope->parent = std::move(parent);
    return scope;
}

void Interpreter::define(const std::string& name, Value value) {
    runtime_.charge(kNameBytes + name.size());
    scope_->names.insert_or_assign(name, std::move(value));
}

void Interpreter::assign(const Target& target, Value value) {
    if (target.parts) {
        const Values items = items_of(runtime_, value);
        if (items.size() != target.parts->size()) {
            runtime_.fail("%zu names cannot take %zu values", target.parts->size(), items.size());
        }
        for (size_t i = 0; i < items.size(); ++i) assign((*target.parts)[i], items[i]);
        return;
    }
    if (!target.attribute) return define(target.name, std::move(value));
    const Value object = compute(NameNode{target.name});
    if (!object.is(Value::Kind::name_space)) {
        runtime_.fail("attributes can be set on namespaces only; '%s' is of type '%s'", target.name.c_str(),
                      object.type_name());
    }
    if (target.attribute->starts_with('_')) {
        runtime_.fail("the namespace attribute '%s' starts with an underscore", target.attribute->c_str());
    }
    runtime_.charge(kNameBytes + target.attribute->size());
    object.name_space().attributes.insert_or_assign(*target.attribute, std::move(value));
}

// --- statements ---

std::string Interpreter::run(const Block& block) {
    TextBuilder out(runtime_);
    out_ = &out;
    execute(block);
    return out.take();
}

Flow Interpreter::execute(const Block& block) {
    for (const Statement& statement : block) {
        const Runtime::Frame frame(runtime_, statement.line);
        const Flow flow = std::visit([this](const auto& node) { return perform(node); }, statement.node);
        if (flow != Flow::normal) return flow;
    }
    return Flow::normal;
}

// What the block prints, in a scope of its own.
Flow Interpreter::capture(const Block& block, std::string& text) {
    const Entered scope(*this, scope_);
    TextBuilder inner(runtime_);
    TextBuilder* outer = std::exchange(out_, &inner);
    const Flow flow = execute(block);
    out_ = outer;
    text = inner.take();
    return flow;
}

Flow Interpreter::perform(const TextNode& node) {
    *out_ += node.text;
    return Flow::normal;
}

Flow Interpreter::perform(const PrintNode& node) {
    append_text(runtime_, evaluate(*node.value), *out_);
    return Flow::normal;
}

std::function<std::optional<Value>()> Interpreter::walk(const Value& items) {
    if (items.is(Value::Kind::iterator)) {
        return [items]() -> std::optional<Value> {
            Iterator& rest = items.iterator();
            if (rest.next == rest.items.size()) return std::nullopt;
            return rest.items[rest.next++];
        };
    }
    auto values = std::make_shared<const Values>(items_of(runtime_, items));
    return [values, next = size_t{0}]() mutable -> std::optional<Value> {
        if (next == values->size()) return std::nullopt;
        return (*values)[next++];
    };
}

std::function<std::optional<Value>()> Interpreter::walk_filtered(const ForNode& node, const Value& items) {
    if (!node.filter) return walk(items);
    return [this, &node, all = walk(items), outer = scope_]() -> std::optional<Value> {
        while (std::optional<Value> item = all()) {
            const Entered scope(*this, outer);
            assign(node.target, *item);
            if (evaluate(*node.filter).truth()) return item;
        }
        return std::nullopt;
    };
}

Flow Interpreter::perform(const ForNode& node) {
    // A loop may outlive its statement in a namespace or a macro; it must not pull then, nor keep its items.
    struct Finish {
        Loop& loop;
        ~Finish() { loop = Loop{{}, {}, {}, {}, loop.index0}; }
    };
    auto loop = std::make_shared<Loop>();
    loop->pull = walk_filtered(node, evaluate(*node.items));
    const Finish finish{*loop};
    bool completed = false;  // Jinja's rule for else: no item's body was run to its end
    Flow flow = Flow::normal;
    while (flow != Flow::leave_loop && loop->advance()) {
        const Entered scope(*this, scope_);
        define("loop", Value(loop));
        assign(node.target, *loop->current);
        flow = execute(node.body);
        completed |= flow == Flow::normal;
    }
    if (completed) return Flow::normal;
    const Entered scope(*this, scope_);
    return execute(node.otherwise);
}

Flow Interpreter::perform(const IfNode& node) {
    for (const IfNode::Branch& branch : node.branches) {
        if (evaluate(*branch.condition).truth()) return execute(branch.body);
    }
    return execute(node.otherwise);
}

Flow Interpreter::perform(const SetNode& node) {
    assign(node.target, evaluate(*node.value));
    return Flow::normal;
}

Flow Interpreter::perform(const SetBlockNode& node) {
    std::string text;
    const Flow flow = capture(node.body, text);
    if (flow == Flow::normal) assign(node.target, apply_all(node.filters, Value::text(std::move(text))));
    return flow;
}

Flow Interpreter::perform(const DefineMacroNode& node) {
    define(node.macro->name, macro_value(*node.macro));
    return Flow::normal;
}

Flow Interpreter::perform(const CallBlockNode& node) {
    Arguments caller;
    caller.named.emplace_back("caller", macro_value(*node.caller));
    append_text(runtime_, call(std::get<CallNode>(node.call->node), std::move(caller)), *out_);
    return Flow::normal;
}

Flow Interpreter::perform(const FilterBlockNode& node) {
    std::string text;
    const Flow flow = capture(node.body, text);
    if (flow == Flow::normal) append_text(runtime_, apply_all(node.filters, Value::text(std::move(text))), *out_);
    return flow;
}

// The values are computed outside of the new scope.
Flow Interpreter::perform(const WithNode& node) {
    Values values;
    for (const auto& [target, value] : node.assignments) values.push_back(evaluate(*value));
    const Entered scope(*this, scope_);
    for (size_t i = 0; i < values.size(); ++i) assign(node.assignments[i].first, std::move(values[i]));
    return execute(node.body);
}

Flow Interpreter::perform(const ScopeNode& node) {
    const Entered scope(*this, scope_);
    return execute(node.body);
}

// --- expressions ---

Value Interpreter::evaluate(const Expr& expr) {
    const Runtime::Frame frame(runtime_, expr.line);
    return std::visit([this](const auto& node) { return compute(node); }, expr.node);
}

Value Interpreter::compute(const NameNode& node) {
    for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
        const auto found = scope->names.find(node.name);
        if (found != scope->names.end()) return found->second;
    }
    if (const Builtin* function = find_builtin(functions(), node.name)) {
        runtime_.charge(sizeof(Callable));
        return Value(
            std::shared_ptr<const Callable>(std::make_shared<Callable>(Callable{function, {}, nullptr, nullptr})));
    }
    return runtime_.undefined("'" + node.name + "' is undefined");
}

Value Interpreter::compute(const SequenceNode& node) {
    Values items;
    for (const ExprPtr& item : node.items) items.push_back(evaluate(*item));
    return runtime_.sequence(node.form, std::move(items));
}

Value Interpreter::compute(const DictNode& node) {
    Dict dict;
    for (const auto& [key, value] : node.members) {
        const Value computed_key = evaluate(*key);
        insert(runtime_, dict, computed_key, evaluate(*value));
    }
    return runtime_.dict(std::move(dict));
}

Value Interpreter::compute(const UnaryNode& node) {
    const Value value = evaluate(*node.operand);
    if (node.op == UnaryOperator::logical_not) return Value(!value.truth());
    if (node.op == UnaryOperator::minus) return negated(runtime_, value);
    return added(runtime_, Value(int64_t{0}), value);
}

Value Interpreter::compute(const BinaryNode& node) {
    const Value left = evaluate(*node.left);
    return node.op->apply(runtime_, left, evaluate(*node.right));
}

Value Interpreter::compute(const LogicalNode& node) {
    Value left = evaluate(*node.left);
    return left.truth() == node.is_and ? evaluate(*node.right) : std::move(left);
}

Value Interpreter::compute(const ComparisonNode& node) {
    Value left = evaluate(*node.first);
    for (const auto& [comparison, operand] : node.rest) {
        Value right = evaluate(*operand);
        if (!comparison->apply(runtime_, left, right)) return Value(false);
        left = std::move(right);
    }
    return Value(true);
}

Value Interpreter::compute(const ConcatNode& node) {
    TextBuilder out(runtime_);
    for (const ExprPtr& part : node.parts) append_text(runtime_, evaluate(*part), out);
    return out.value();
}

Value Interpreter::compute(const ConditionalNode& node) {
    if (evaluate(*node.condition).truth()) return evaluate(*node.then);
    if (node.otherwise) return evaluate(*node.otherwise);
    return runtime_.undefined("the condition is false and there is no else");
}

Value Interpreter::compute(const AttributeNode& node) {
    return get_attribute(runtime_, evaluate(*node.object), node.name);
}

Value Interpreter::compute(const ItemNode& node) {
    const Value object = evaluate(*node.object);
    return get_item(runtime_, object, evaluate(*node.key));
}

Value Interpreter::compute(const SliceNode& node) {
    const Value object = evaluate(*node.object);
    Value bounds[3];
    const ExprPtr* given[] = {&node.start, &node.stop, &node.step};
    for (size_t i = 0; i < 3; ++i) {
        if (*given[i]) bounds[i] = evaluate(**given[i]);
    }
    return get_slice(runtime_, object, bounds[0], bounds[1], bounds[2]);
}

std::string render(const Block& block, const Variables& variables, const std::tm& now, const Limits& limits) {
    return Interpreter(variables, now, limits).run(block);
}

}  // namespace gq::jinja
