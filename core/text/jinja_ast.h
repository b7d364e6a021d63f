// The syntax tree of a template. Immutable once parsed; rendered by any number of threads.
// In: the parser fills it. Out: the interpreter walks it. Must not know how anything is computed.
// Expressions and statements are variants: a new kind is a struct here, a parse function and an interpreter function.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/text/jinja_value.h"

namespace gq::jinja {

struct BinaryOperator;
struct Comparison;

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
using Exprs = std::vector<ExprPtr>;

struct CallArguments {
    Exprs positional;
    std::vector<std::pair<std::string, ExprPtr>> named;
    ExprPtr unpacked, unpacked_named;  // *x and **x; may be null
};

struct LiteralNode {
    Value value;
};
struct NameNode {
    std::string name;
};
struct SequenceNode {
    Sequence::Form form;
    Exprs items;
};
struct DictNode {
    std::vector<std::pair<ExprPtr, ExprPtr>> members;
};
enum class UnaryOperator { logical_not, minus, plus };
struct UnaryNode {
    UnaryOperator op;
    ExprPtr operand;
};
struct BinaryNode {
    const BinaryOperator* op;
    ExprPtr left, right;
};
// and, or: the value of the operand that decides.
struct LogicalNode {
    bool is_and;
    ExprPtr left, right;
};
// a < b <= c: all must hold; each operand is computed once.
struct ComparisonNode {
    ExprPtr first;
    std::vector<std::pair<const Comparison*, ExprPtr>> rest;
};
struct ConcatNode {
    Exprs parts;
};
struct ConditionalNode {
    ExprPtr condition, then, otherwise;  // otherwise may be null: undefined
};
struct AttributeNode {
    ExprPtr object;
    std::string name;
};
struct ItemNode {
    ExprPtr object, key;
};
struct SliceNode {
    ExprPtr object, start, stop, step;  // bounds may be null
};
struct CallNode {
    ExprPtr callee;
    CallArguments arguments;
};
// A filter or a test. In a filter block and behind a block set the first value is the block's text: `value` is null.
struct AppliedNode {
    ExprPtr value;
    const Builtin* builtin;
    CallArguments arguments;
};

struct Expr {
    int line;
    std::variant<LiteralNode, NameNode, SequenceNode, DictNode, UnaryNode, BinaryNode, LogicalNode, ComparisonNode,
                 ConcatNode, ConditionalNode, AttributeNode, ItemNode, SliceNode, CallNode, AppliedNode>
        node;
};

// What may stand on the left of an assignment: a name, namespace.attribute, or several of them.
struct Target {
    int line;
    std::string name;
    std::optional<std::string> attribute;
    std::optional<std::vector<Target>> parts;  // when set, the others are not used
};

struct Statement;
using Block = std::vector<Statement>;

struct TextNode {
    std::string text;
};
struct PrintNode {
    ExprPtr value;
};
struct ForNode {
    Target target;
    ExprPtr items, filter;  // filter may be null
    Block body, otherwise;  // otherwise runs when no item's body ran to its end
};
struct IfNode {
    struct Branch {
        ExprPtr condition;
        Block body;
    };
    std::vector<Branch> branches;
    Block otherwise;
};
struct SetNode {
    Target target;
    ExprPtr value;
};
struct SetBlockNode {
    Target target;
    std::vector<Expr> filters;  // AppliedNodes, applied in order
    Block body;
};
struct MacroNode {
    struct Parameter {
        std::string name;
        ExprPtr value;  // the default; may be null
    };
    std::string name;  // "caller" for the body of a call block
    std::vector<Parameter> parameters;
    Block body;
    bool uses_caller = false, uses_varargs = false, uses_kwargs = false;  // names that the body mentions
};
struct DefineMacroNode {
    std::unique_ptr<MacroNode> macro;
};
struct CallBlockNode {
    std::unique_ptr<MacroNode> caller;
    ExprPtr call;  // a CallNode
};
struct FilterBlockNode {
    std::vector<Expr> filters;
    Block body;
};
struct WithNode {
    std::vector<std::pair<Target, ExprPtr>> assignments;
    Block body;
};
struct ScopeNode {  // {% generation %}
    Block body;
};
struct BreakNode {};
struct ContinueNode {};

struct Statement {
    int line;
    std::variant<TextNode, PrintNode, ForNode, IfNode, SetNode, SetBlockNode, DefineMacroNode, CallBlockNode,
                 FilterBlockNode, WithNode, ScopeNode, BreakNode, ContinueNode>
        node;
};

}  // namespace gq::jinja
