// Statements: the tags, their bodies and assignment targets; the door to the token stream. See jinja_parser.h.
// In: tokens. Out: statement nodes of jinja_ast.h, or Error naming line, what was expected and what was found.
// Must not know what any statement does; expressions have jinja_expressions.cpp.
#include "core/text/jinja_parser.h"

#include <algorithm>

namespace gq::jinja {

namespace {

constexpr int kMaxNesting = 100;
constexpr int kMaxChained = 400;

bool is_reserved(std::string_view name) {
    constexpr std::string_view constants[] = {"true", "false", "none", "True", "False", "None"};
    return std::find(std::begin(constants), std::end(constants), name) != std::end(constants);
}

}  // namespace

const Parser::Tag Parser::kTags[] = {
    {"for", &Parser::parse_for},           {"if", &Parser::parse_if},
    {"set", &Parser::parse_set},           {"macro", &Parser::parse_macro},
    {"call", &Parser::parse_call_block},   {"filter", &Parser::parse_filter_block},
    {"with", &Parser::parse_with},         {"generation", &Parser::parse_generation},
    {"print", &Parser::parse_print},       {"break", &Parser::parse_break},
    {"continue", &Parser::parse_continue},
};

// --- tokens ---

Token Parser::take() {
    Token token = current();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
}

bool Parser::accept_symbol(std::string_view symbol) {
    if (!current().is_symbol(symbol)) return false;
    take();
    return true;
}

bool Parser::accept_name(std::string_view name) {
    if (!current().is_name(name)) return false;
    take();
    return true;
}

void Parser::fail_expected(const std::string& what) const {
    template_error(Status::bad_file, current().line, "expected %s, found %s", what.c_str(),
                   current().described().c_str());
}

void Parser::expect_symbol(std::string_view symbol) {
    if (!accept_symbol(symbol)) fail_expected("'" + std::string(symbol) + "'");
}

void Parser::expect_end_of_tag() {
    if (current().kind != Token::Kind::block_end) fail_expected("'%}'");
    take();
}

std::string Parser::expect_name(const char* what) {
    if (current().kind != Token::Kind::name) fail_expected(what);
    return take().text;
}

Parser::Nested::Nested(Parser& parser) : parser_(parser) {
    if (parser.nesting_ >= kMaxNesting) {
        template_error(Status::unsupported, parser.current().line, "expressions or blocks are nested more than %d deep",
                       kMaxNesting);
    }
    ++parser.nesting_;
}

void Parser::count_chained() {
    if (++chained_ > kMaxChained) {
        template_error(Status::unsupported, current().line, "one tag chains more than %d operators", kMaxChained);
    }
}

// --- blocks ---

Block Parser::parse_template() {
    return parse_block("template", 1, {});
}

// Up to one of the end tags, whose name becomes the current token; up to the end of the text when there are none.
Block Parser::parse_block(const char* tag, int line, const EndTags& end_tags) {
    const Nested nested(*this);
    Block out;
    while (current().kind != Token::Kind::end) {
        const Token token = take();
        chained_ = 0;
        if (token.kind == Token::Kind::data) {
            out.push_back({token.line, TextNode{token.text}});
        } else if (token.kind == Token::Kind::variable_begin) {
            out.push_back({token.line, PrintNode{parse_tuple()}});
            if (current().kind != Token::Kind::variable_end) fail_expected("'}}'");
            take();
        } else {
            const auto ends = [&](std::string_view name) { return current().is_name(name); };
            if (std::any_of(end_tags.begin(), end_tags.end(), ends)) return out;
            parse_statement(out);
            expect_end_of_tag();
        }
    }
    if (!end_tags.empty()) {
        template_error(Status::bad_file, line, "tag '%s' has no '%s'", tag, std::string(end_tags.back()).c_str());
    }
    return out;
}

void Parser::parse_statement(Block& out) {
    const int line = current().line;
    const std::string name = expect_name("the name of a tag");
    const auto* tag =
        std::find_if(std::begin(kTags), std::end(kTags), [&](const Tag& row) { return row.name == name; });
    if (tag != std::end(kTags)) return (this->*tag->parse)(out, line);
    const bool closes = name.starts_with("end") || name == "else" || name == "elif";
    if (!closes) template_error(Status::unsupported, line, "tag '%s' is not supported", name.c_str());
    template_error(Status::bad_file, line, "tag '%s' closes nothing here (open: %s)", name.c_str(),
                   open_.empty() ? "nothing" : open_.back().c_str());
}

// The rest of the opening tag, and its block. The end tag's name is the current token.
Block Parser::parse_body(const char* tag, int line, const EndTags& end_tags) {
    accept_symbol(":");  // as Python writes it; Jinja lets it pass
    expect_end_of_tag();
    open_.push_back("'" + std::string(tag) + "' of line " + std::to_string(line));
    Block body = parse_block(tag, line, end_tags);
    open_.pop_back();
    return body;
}

void Parser::parse_for(Block& out, int line) {
    ForNode node;
    node.target = parse_target(false, "in");
    if (!accept_name("in")) fail_expected("'in'");
    node.items = parse_tuple(false, "recursive");
    if (accept_name("if")) node.filter = parse_expression();
    if (current().is_name("recursive")) {
        template_error(Status::unsupported, current().line, "'recursive' loops are not supported");
    }
    ++loops_;
    node.body = parse_body("for", line, {"else", "endfor"});
    --loops_;
    if (take().text == "else") {
        node.otherwise = parse_body("for", line, {"endfor"});
        take();
    }
    out.push_back({line, std::move(node)});
}

void Parser::parse_if(Block& out, int line) {
    IfNode node;
    std::string next;
    do {
        ExprPtr condition = parse_tuple(false);
        Block body = parse_body("if", line, {"elif", "else", "endif"});
        node.branches.push_back({std::move(condition), std::move(body)});
        next = take().text;
    } while (next == "elif");
    if (next == "else") {
        node.otherwise = parse_body("if", line, {"endif"});
        take();
    }
    out.push_back({line, std::move(node)});
}

void Parser::parse_set(Block& out, int line) {
    Target target = parse_target(true, {});
    if (accept_symbol("=")) {
        out.push_back({line, SetNode{std::move(target), parse_tuple()}});
        return;
    }
    std::vector<Expr> filters = accept_symbol("|") ? parse_filter_chain() : std::vector<Expr>{};
    Block body = parse_body("set", line, {"endset"});
    take();
    out.push_back({line, SetBlockNode{std::move(target), std::move(filters), std::move(body)}});
}

// name(args)|name(args)…, the first '|' already taken.
std::vector<Expr> Parser::parse_filter_chain() {
    std::vector<Expr> filters;
    do {
        const int line = current().line;
        filters.push_back({line, parse_filter()});
    } while (accept_symbol("|"));
    return filters;
}

std::vector<MacroNode::Parameter> Parser::parse_parameters() {
    std::vector<MacroNode::Parameter> parameters;
    expect_symbol("(");
    while (!current().is_symbol(")")) {
        if (!parameters.empty()) expect_symbol(",");
        MacroNode::Parameter parameter{parse_assigned_name(), nullptr};
        if (accept_symbol("=")) {
            parameter.value = parse_expression();
        } else if (!parameters.empty() && parameters.back().value) {
            template_error(Status::bad_file, current().line, "parameter '%s' without a default follows one that has it",
                           parameter.name.c_str());
        }
        parameters.push_back(std::move(parameter));
    }
    take();
    return parameters;
}

// break and continue do not reach out of a macro, nor do the names caller, varargs and kwargs.
std::unique_ptr<MacroNode> Parser::parse_macro_body(MacroNode macro, const char* tag, int line, const char* end_tag) {
    auto node = std::make_unique<MacroNode>(std::move(macro));
    const int outer_loops = std::exchange(loops_, 0);
    macros_.push_back(node.get());
    node->body = parse_body(tag, line, {end_tag});
    macros_.pop_back();
    loops_ = outer_loops;
    take();
    return node;
}

void Parser::parse_macro(Block& out, int line) {
    MacroNode macro;
    macro.name = parse_assigned_name();
    macro.parameters = parse_parameters();
    out.push_back({line, DefineMacroNode{parse_macro_body(std::move(macro), "macro", line, "endmacro")}});
}

void Parser::parse_call_block(Block& out, int line) {
    MacroNode caller;
    caller.name = "caller";
    if (current().is_symbol("(")) caller.parameters = parse_parameters();
    ExprPtr call = parse_expression();
    if (!std::holds_alternative<CallNode>(call->node)) {
        template_error(Status::bad_file, line, "tag 'call' needs the call of a macro");
    }
    out.push_back({line, CallBlockNode{parse_macro_body(std::move(caller), "call", line, "endcall"), std::move(call)}});
}

void Parser::parse_filter_block(Block& out, int line) {
    std::vector<Expr> filters = parse_filter_chain();
    Block body = parse_body("filter", line, {"endfilter"});
    take();
    out.push_back({line, FilterBlockNode{std::move(filters), std::move(body)}});
}

void Parser::parse_with(Block& out, int line) {
    WithNode node;
    while (current().kind != Token::Kind::block_end) {
        if (!node.assignments.empty()) expect_symbol(",");
        Target target = parse_target(false, {});
        expect_symbol("=");
        node.assignments.emplace_back(std::move(target), parse_expression());
    }
    node.body = parse_body("with", line, {"endwith"});
    take();
    out.push_back({line, std::move(node)});
}

// Marks what the assistant says, for training; it prints its body, with names set inside kept inside.
void Parser::parse_generation(Block& out, int line) {
    const int outer_loops = std::exchange(loops_, 0);
    ScopeNode node{parse_body("generation", line, {"endgeneration"})};
    loops_ = outer_loops;
    take();
    out.push_back({line, std::move(node)});
}

void Parser::parse_print(Block& out, int line) {
    for (bool is_first = true; current().kind != Token::Kind::block_end; is_first = false) {
        if (!is_first) expect_symbol(",");
        out.push_back({line, PrintNode{parse_expression()}});
    }
}

void Parser::require_loop(const char* tag, int line) const {
    if (loops_ == 0) template_error(Status::bad_file, line, "tag '%s' stands outside a loop", tag);
}

void Parser::parse_break(Block& out, int line) {
    require_loop("break", line);
    out.push_back({line, BreakNode{}});
}

void Parser::parse_continue(Block& out, int line) {
    require_loop("continue", line);
    out.push_back({line, ContinueNode{}});
}

// --- assignment targets ---

std::string Parser::parse_assigned_name() {
    const int line = current().line;
    std::string name = expect_name("a name");
    if (is_reserved(name)) template_error(Status::bad_file, line, "'%s' cannot be assigned to", name.c_str());
    return name;
}

Target Parser::parse_single_target(bool may_be_attribute) {
    const int line = current().line;
    if (accept_symbol("(")) {
        const Nested nested(*this);
        Target target = parse_target(may_be_attribute, {});
        expect_symbol(")");
        return target;
    }
    Target target{line, parse_assigned_name(), {}, {}};
    if (may_be_attribute && accept_symbol(".")) target.attribute = expect_name("the name of an attribute");
    return target;
}

// One target, or several with commas: the list ends before `end_name`, '=', ')' or the end of the tag.
Target Parser::parse_target(bool may_be_attribute, std::string_view end_name) {
    const int line = current().line;
    std::vector<Target> parts;
    bool is_tuple = false;
    while (true) {
        const bool at_end = (!end_name.empty() && current().is_name(end_name)) || current().is_symbol("=") ||
                            current().is_symbol(")") || current().kind == Token::Kind::block_end;
        if (at_end && !parts.empty()) break;
        parts.push_back(parse_single_target(may_be_attribute));
        if (!accept_symbol(",")) break;
        is_tuple = true;
    }
    if (!is_tuple) return std::move(parts.front());
    return Target{line, {}, {}, std::move(parts)};
}

Block parse(std::string_view source) {
    if (source.size() > Limits().source_bytes) {
        template_error(Status::unsupported, 0, "the text has %zu bytes, more than %zu", source.size(),
                       Limits().source_bytes);
    }
    return Parser(tokenize(source)).parse_template();
}

}  // namespace gq::jinja
