// Walks the syntax tree and writes the prompt.
// In: a parsed template, the variables it sees, limits and the present time. Out: text, or Error naming the template's
// line. Must not know chats or where the time comes from. The tree is only read: many threads may render one.
//
// Scopes: for bodies (one per item), macro calls, with, block set, filter, call and generation blocks open one; if does
// not. A name is looked up outwards through the scopes in which the code was written; set writes to the innermost.
// Below all scopes lie the variables, then functions.
#pragma once

#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text/jinja_ast.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_runtime.h"

namespace gq::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

std::string render(const Block& block, const Variables& variables, const std::tm& now, const Limits& limits = {});

struct Scope {
    std::shared_ptr<Scope> parent;
    size_t depth = 0;
    std::map<std::string, Value, std::less<>> names;
};

enum class Flow { normal, leave_loop, next_item };

class Interpreter {
  public:
    Interpreter(const Variables& variables, const std::tm& now, const Limits& limits);
    ~Interpreter();
    std::string run(const Block& block);

  private:
    // Makes a scope the current one, and the former one again.
    class Entered {
      public:
        Entered(Interpreter& interpreter, std::shared_ptr<Scope> parent)
            : interpreter_(interpreter), outer_(interpreter.scope_) {
            interpreter.scope_ = interpreter.new_scope(std::move(parent));
        }
        ~Entered() { interpreter_.scope_ = std::move(outer_); }
        Entered(const Entered&) = delete;
        Entered& operator=(const Entered&) = delete;

      private:
        Interpreter& interpreter_;
        std::shared_ptr<Scope> outer_;
    };

    Flow execute(const Block& block);
    Flow perform(const TextNode& node);
    Flow perform(const PrintNode& node);
    Flow perform(const ForNode& node);
    Flow perform(const IfNode& node);
    Flow perform(const SetNode& node);
    Flow perform(const SetBlockNode& node);
    Flow perform(const DefineMacroNode& node);
    Flow perform(const CallBlockNode& node);
    Flow perform(const FilterBlockNode& node);
    Flow perform(const WithNode& node);
    Flow perform(const ScopeNode& node);
    Flow perform(const BreakNode&) { return Flow::leave_loop; }
    Flow perform(const ContinueNode&) { return Flow::next_item; }

    Value evaluate(const Expr& expr);
    Value compute(const LiteralNode& node) { return node.value; }
    Value compute(const NameNode& node);
    Value compute(const SequenceNode& node);
    Value compute(const DictNode& node);
    Value compute(const UnaryNode& node);
    Value compute(const BinaryNode& node);
    Value compute(const LogicalNode& node);
    Value compute(const ComparisonNode& node);
    Value compute(const ConcatNode& node);
    Value compute(const ConditionalNode& node);
    Value compute(const AttributeNode& node);
    Value compute(const ItemNode& node);
    Value compute(const SliceNode& node);
    Value compute(const CallNode& node) { return call(node, {}); }
    Value compute(const AppliedNode& node) { return apply_to(node, evaluate(*node.value)); }

    std::shared_ptr<Scope> new_scope(std::shared_ptr<Scope> parent);
    void define(const std::string& name, Value value);
    void assign(const Target& target, Value value);
    std::function<std::optional<Value>()> walk(const Value& items);
    std::function<std::optional<Value>()> walk_filtered(const ForNode& node, const Value& items);

    Arguments collect(const CallArguments& arguments, Arguments first);
    Value apply_to(const AppliedNode& node, Value value);
    Value apply_all(const std::vector<Expr>& filters, Value value);
    Value call(const CallNode& node, Arguments extra);
    Value call_macro(const Callable& callee, Arguments arguments);
    void bind_parameters(const MacroNode& macro, Arguments& arguments);
    void bind_rest(const MacroNode& macro, Arguments& arguments);
    Value macro_value(const MacroNode& macro);
    Flow capture(const Block& block, std::string& text);

    Runtime runtime_;
    std::shared_ptr<Scope> scope_;
    TextBuilder* out_ = nullptr;
    std::vector<std::shared_ptr<Scope>> closures_;  // scopes that macros hold, which may hold the macros
};

}  // namespace gq::jinja
