// Expressions: one function per level of precedence, loosest first, as in Jinja's grammar. See jinja_parser.h.
// In: tokens. Out: expression nodes; names of filters and tests are looked up here, so that an unknown one is an error
// before rendering. Must not know values beyond literals.
#include <algorithm>

#include "core/text/jinja_parser.h"

namespace gq::jinja {

namespace {

template <class Node>
ExprPtr make(int line, Node node) {
    return std::make_unique<Expr>(Expr{line, std::move(node)});
}

ExprPtr literal(int line, Value value) {
    return make(line, LiteralNode{std::move(value)});
}

struct Constant {
    const char* name;
    Value (*value)();
};
constexpr Constant kConstants[] = {
    {"true", [] { return Value(true); }},   {"True", [] { return Value(true); }},
    {"false", [] { return Value(false); }}, {"False", [] { return Value(false); }},
    {"none", [] { return Value(); }},       {"None", [] { return Value(); }},
};

}  // namespace

ExprPtr Parser::parse_tuple(bool may_be_conditional, std::string_view end_name, bool in_parentheses) {
    const int line = current().line;
    const auto at_end = [&] {
        return current().kind == Token::Kind::variable_end || current().kind == Token::Kind::block_end ||
               current().is_symbol(")") || (!end_name.empty() && current().is_name(end_name));
    };
    Exprs items;
    bool is_tuple = in_parentheses && at_end();
    while (!at_end()) {
        items.push_back(parse_expression(may_be_conditional));
        if (!accept_symbol(",")) break;
        is_tuple = true;
    }
    if (!is_tuple && items.empty()) fail_expected("an expression");
    if (!is_tuple) return std::move(items.front());
    return make(line, SequenceNode{Sequence::Form::tuple, std::move(items)});
}

ExprPtr Parser::parse_expression(bool may_be_conditional) {
    const Nested nested(*this);
    return may_be_conditional ? parse_conditional() : parse_or();
}

ExprPtr Parser::parse_conditional() {
    const int line = current().line;
    ExprPtr value = parse_or();
    while (accept_name("if")) {
        count_chained();
        ExprPtr condition = parse_or();
        ExprPtr otherwise = accept_name("else") ? parse_expression() : nullptr;
        value = make(line, ConditionalNode{std::move(condition), std::move(value), std::move(otherwise)});
    }
    return value;
}

ExprPtr Parser::parse_or() {
    const int line = current().line;
    ExprPtr left = parse_and();
    while (accept_name("or")) {
        count_chained();
        left = make(line, LogicalNode{false, std::move(left), parse_and()});
    }
    return left;
}

ExprPtr Parser::parse_and() {
    const int line = current().line;
    ExprPtr left = parse_not();
    while (accept_name("and")) {
        count_chained();
        left = make(line, LogicalNode{true, std::move(left), parse_not()});
    }
    return left;
}

ExprPtr Parser::parse_not() {
    const int line = current().line;
    if (!accept_name("not")) return parse_comparison();
    const Nested nested(*this);
    return make(line, UnaryNode{UnaryOperator::logical_not, parse_not()});
}

const Comparison* Parser::accept_comparison() {
    if (current().is_name("not") && ahead().is_name("in")) {
        take();
        take();
        return find_comparison("not in");
    }
    if (current().kind != Token::Kind::symbol && !current().is_name("in")) return nullptr;
    const Comparison* comparison = find_comparison(current().text);
    if (comparison != nullptr) take();
    return comparison;
}

ExprPtr Parser::parse_comparison() {
    const int line = current().line;
    ComparisonNode node{parse_sum(), {}};
    while (const Comparison* comparison = accept_comparison()) node.rest.emplace_back(comparison, parse_sum());
    return node.rest.empty() ? std::move(node.first) : make(line, std::move(node));
}

ExprPtr Parser::parse_binary(Level level, ExprPtr (Parser::*operand)()) {
    const int line = current().line;
    ExprPtr left = (this->*operand)();
    while (current().kind == Token::Kind::symbol) {
        const BinaryOperator* op = find_binary_operator(current().text, level);
        if (op == nullptr) break;
        take();
        count_chained();
        left = make(line, BinaryNode{op, std::move(left), (this->*operand)()});
    }
    return left;
}

ExprPtr Parser::parse_sum() {
    return parse_binary(Level::sum, &Parser::parse_concat);
}
ExprPtr Parser::parse_product() {
    return parse_binary(Level::product, &Parser::parse_power);
}
// From the left, as in Jinja; in Python ** goes from the right.
ExprPtr Parser::parse_power() {
    return parse_binary(Level::power, &Parser::parse_operand);
}

ExprPtr Parser::parse_concat() {
    const int line = current().line;
    Exprs parts;
    do {
        parts.push_back(parse_product());
    } while (accept_symbol("~"));
    return parts.size() == 1 ? std::move(parts.front()) : make(line, ConcatNode{std::move(parts)});
}

// -x|f is (-x)|f, and -x.y is -(x.y).
ExprPtr Parser::parse_unary(bool with_filters) {
    const int line = current().line;
    ExprPtr value;
    if (current().is_symbol("-") || current().is_symbol("+")) {
        const Nested nested(*this);
        const UnaryOperator op = take().text == "-" ? UnaryOperator::minus : UnaryOperator::plus;
        value = make(line, UnaryNode{op, parse_unary(false)});
    } else {
        value = parse_primary();
    }
    value = parse_postfix(std::move(value));
    return with_filters ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExprPtr Parser::parse_primary() {
    const Token& token = current();
    const int line = token.line;
    if (token.kind == Token::Kind::name) return parse_name();
    if (token.kind == Token::Kind::integer) return literal(line, Value(take().integer));
    if (token.kind == Token::Kind::number) return literal(line, Value(take().number));
    if (token.kind == Token::Kind::string) {
        std::string text;
        while (current().kind == Token::Kind::string) text += take().text;
        return literal(line, Value::text(std::move(text)));
    }
    if (token.is_symbol("[")) return parse_list();
    if (token.is_symbol("{")) return parse_dict();
    if (!accept_symbol("(")) fail_expected("an expression");
    ExprPtr value = parse_tuple(true, {}, true);
    expect_symbol(")");
    return value;
}

ExprPtr Parser::parse_name() {
    const Token token = take();
    const auto* constant = std::find_if(std::begin(kConstants), std::end(kConstants),
                                        [&](const Constant& row) { return row.name == token.text; });
    if (constant != std::end(kConstants)) return literal(token.line, constant->value());
    for (MacroNode* macro : macros_) {
        macro->uses_caller |= token.text == "caller";
        macro->uses_varargs |= token.text == "varargs";
        macro->uses_kwargs |= token.text == "kwargs";
    }
    return make(token.line, NameNode{token.text});
}

ExprPtr Parser::parse_list() {
    const int line = take().line;
    Exprs items;
    while (!current().is_symbol("]")) {
        items.push_back(parse_expression());
        if (!current().is_symbol("]")) expect_symbol(",");
    }
    take();
    return make(line, SequenceNode{Sequence::Form::list, std::move(items)});
}

ExprPtr Parser::parse_dict() {
    const int line = take().line;
    DictNode node;
    while (!current().is_symbol("}")) {
        ExprPtr key = parse_expression();
        expect_symbol(":");
        node.members.emplace_back(std::move(key), parse_expression());
        if (!current().is_symbol("}")) expect_symbol(",");
    }
    take();
    return make(line, std::move(node));
}

ExprPtr Parser::parse_postfix(ExprPtr value) {
    while (current().kind == Token::Kind::symbol) {
        if (current().is_symbol(".")) {
            value = parse_attribute(std::move(value));
        } else if (current().is_symbol("[")) {
            value = parse_subscript(std::move(value));
        } else if (current().is_symbol("(")) {
            value = parse_call(std::move(value));
        } else {
            break;
        }
        count_chained();
    }
    return value;
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr value) {
    while (true) {
        const int line = current().line;
        if (accept_symbol("|")) {
            AppliedNode filter = parse_filter();
            filter.value = std::move(value);
            value = make(line, std::move(filter));
        } else if (accept_name("is")) {
            value = parse_test(std::move(value));
        } else if (current().is_symbol("(")) {
            value = parse_call(std::move(value));
        } else {
            return value;
        }
        count_chained();
    }
}

// x.name, or x.0 for x[0]
ExprPtr Parser::parse_attribute(ExprPtr object) {
    const int line = take().line;
    if (current().kind == Token::Kind::integer) {
        return make(line, ItemNode{std::move(object), literal(line, Value(take().integer))});
    }
    return make(line, AttributeNode{std::move(object), expect_name("the name of an attribute")});
}

ExprPtr Parser::parse_subscript(ExprPtr object) {
    const int line = take().line;
    if (current().is_symbol(":")) return parse_slice(std::move(object), nullptr, line);
    Exprs keys;
    do {
        keys.push_back(parse_expression());
        if (keys.size() == 1 && current().is_symbol(":")) {
            return parse_slice(std::move(object), std::move(keys.front()), line);
        }
    } while (accept_symbol(",") && !current().is_symbol("]"));
    expect_symbol("]");
    if (keys.size() == 1) return make(line, ItemNode{std::move(object), std::move(keys.front())});
    return make(line, ItemNode{std::move(object), make(line, SequenceNode{Sequence::Form::tuple, std::move(keys)})});
}

// start:stop:step], where each may be left out; the first ':' is the current token.
ExprPtr Parser::parse_slice(ExprPtr object, ExprPtr start, int line) {
    SliceNode node{std::move(object), std::move(start), nullptr, nullptr};
    for (ExprPtr* bound : {&node.stop, &node.step}) {
        if (!accept_symbol(":")) break;
        if (!current().is_symbol(":") && !current().is_symbol("]")) *bound = parse_expression();
    }
    expect_symbol("]");
    return make(line, std::move(node));
}

ExprPtr Parser::parse_call(ExprPtr callee) {
    const int line = current().line;
    return make(line, CallNode{std::move(callee), parse_arguments()});
}

CallArguments Parser::parse_arguments() {
    const int line = current().line;
    CallArguments arguments;
    expect_symbol("(");
    while (!current().is_symbol(")")) {
        parse_argument(arguments, line);
        if (!current().is_symbol(")")) expect_symbol(",");
    }
    take();
    return arguments;
}

// value, name=value, *values, **members: in this order.
void Parser::parse_argument(CallArguments& arguments, int line) {
    const auto require = [line](bool holds) {
        if (!holds) template_error(Status::bad_file, line, "the arguments of a call are in a wrong order");
    };
    require(!arguments.unpacked_named);
    if (accept_symbol("**")) {
        arguments.unpacked_named = parse_expression();
    } else if (accept_symbol("*")) {
        require(!arguments.unpacked);
        arguments.unpacked = parse_expression();
    } else if (current().kind == Token::Kind::name && ahead().is_symbol("=")) {
        std::string name = take().text;
        take();
        arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
        require(arguments.named.empty() && !arguments.unpacked);
        arguments.positional.push_back(parse_expression());
    }
}

std::string Parser::parse_dotted_name() {
    std::string name = expect_name("a name");
    while (accept_symbol(".")) name += "." + expect_name("a name");
    return name;
}

// name or name(arguments); the '|' is taken, the value is put in by the caller.
AppliedNode Parser::parse_filter() {
    const int line = current().line;
    const std::string name = parse_dotted_name();
    const Builtin* filter = find_filter(name);
    if (filter == nullptr) template_error(Status::unsupported, line, "filter '%s' is not supported", name.c_str());
    return {nullptr, filter, current().is_symbol("(") ? parse_arguments() : CallArguments{}};
}

// x is [not] name, name(arguments) or name argument
ExprPtr Parser::parse_test(ExprPtr value) {
    const int line = current().line;
    const bool is_negated = accept_name("not");
    const std::string name = parse_dotted_name();
    const Builtin* test = find_builtin(tests(), name);
    if (test == nullptr) template_error(Status::unsupported, line, "test '%s' is not supported", name.c_str());
    AppliedNode node{std::move(value), test, {}};
    const Token& next = current();
    const bool opens = next.is_symbol("[") || next.is_symbol("{");
    const bool is_operand =
        next.kind == Token::Kind::string || next.kind == Token::Kind::integer || next.kind == Token::Kind::number ||
        opens ||
        (next.kind == Token::Kind::name && !next.is_name("else") && !next.is_name("or") && !next.is_name("and"));
    if (next.is_symbol("(")) {
        node.arguments = parse_arguments();
    } else if (is_operand) {
        if (next.is_name("is")) template_error(Status::bad_file, line, "tests with 'is' cannot be chained");
        node.arguments.positional.push_back(parse_postfix(parse_primary()));
    }
    ExprPtr applied = make(line, std::move(node));
    return is_negated ? make(line, UnaryNode{UnaryOperator::logical_not, std::move(applied)}) : std::move(applied);
}

}  // namespace gq::jinja
