// Tokens → syntax tree, by Jinja 3.1's grammar with Hugging Face's extensions (break, continue, generation).
// In: template text. Out: a Block; or Error naming line and construct: Status::unsupported for a tag, filter or test
// that is not supported, Status::bad_file for text that is no template. Must not know how anything is computed.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/jinja_ast.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_lexer.h"
#include "core/text/jinja_operators.h"

namespace gq::jinja {

Block parse(std::string_view source);

class Parser {
  public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
    Block parse_template();

  private:
    using EndTags = std::vector<std::string_view>;
    struct Tag {
        const char* name;
        void (Parser::*parse)(Block& out, int line);
    };
    static const Tag kTags[];

    // Statements (jinja_parser.cpp)
    Block parse_block(const char* tag, int line, const EndTags& end_tags);
    void parse_statement(Block& out);
    void parse_for(Block& out, int line);
    void parse_if(Block& out, int line);
    void parse_set(Block& out, int line);
    void parse_macro(Block& out, int line);
    void parse_call_block(Block& out, int line);
    void parse_filter_block(Block& out, int line);
    void parse_with(Block& out, int line);
    void parse_generation(Block& out, int line);
    void parse_print(Block& out, int line);
    void parse_break(Block& out, int line);
    void parse_continue(Block& out, int line);
    Block parse_body(const char* tag, int line, const EndTags& end_tags);
    std::unique_ptr<MacroNode> parse_macro_body(MacroNode macro, const char* tag, int line, const char* end_tag);
    std::vector<MacroNode::Parameter> parse_parameters();
    std::string parse_assigned_name();
    Target parse_target(bool may_be_attribute, std::string_view end_name);
    Target parse_single_target(bool may_be_attribute);
    std::vector<Expr> parse_filter_chain();
    void require_loop(const char* tag, int line) const;

    // Expressions (jinja_expressions.cpp), from the loosest binding to the tightest
    ExprPtr parse_tuple(bool may_be_conditional = true, std::string_view end_name = {}, bool in_parentheses = false);
    ExprPtr parse_expression(bool may_be_conditional = true);
    ExprPtr parse_conditional();
    ExprPtr parse_or();
    ExprPtr parse_and();
    ExprPtr parse_not();
    ExprPtr parse_comparison();
    const Comparison* accept_comparison();
    ExprPtr parse_sum();
    ExprPtr parse_concat();
    ExprPtr parse_product();
    ExprPtr parse_power();
    ExprPtr parse_binary(Level level, ExprPtr (Parser::*operand)());
    ExprPtr parse_operand() { return parse_unary(true); }
    ExprPtr parse_unary(bool with_filters);
    ExprPtr parse_primary();
    ExprPtr parse_name();
    ExprPtr parse_list();
    ExprPtr parse_dict();
    ExprPtr parse_postfix(ExprPtr value);
    ExprPtr parse_filters_and_tests(ExprPtr value);
    ExprPtr parse_attribute(ExprPtr object);
    ExprPtr parse_subscript(ExprPtr object);
    ExprPtr parse_slice(ExprPtr object, ExprPtr start, int line);
    ExprPtr parse_call(ExprPtr callee);
    AppliedNode parse_filter();
    ExprPtr parse_test(ExprPtr value);
    CallArguments parse_arguments();
    void parse_argument(CallArguments& arguments, int line);
    std::string parse_dotted_name();

    // Tokens
    const Token& current() const { return tokens_[at_]; }
    const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
    Token take();
    bool accept_symbol(std::string_view symbol);
    bool accept_name(std::string_view name);
    void expect_symbol(std::string_view symbol);
    void expect_end_of_tag();
    std::string expect_name(const char* what);
    [[noreturn]] void fail_expected(const std::string& what) const;

    // Both bound the tree's height, and with it every recursion over it.
    class Nested {
      public:
        explicit Nested(Parser& parser);
        ~Nested() { --parser_.nesting_; }
        Nested(const Nested&) = delete;
        Nested& operator=(const Nested&) = delete;

      private:
        Parser& parser_;
    };
    void count_chained();

    std::vector<Token> tokens_;
    size_t at_ = 0;
    int nesting_ = 0;                 // open brackets, unary operators and blocks
    int chained_ = 0;                 // operators, filters, subscripts and calls of the present tag
    int loops_ = 0;                   // open for statements inside the present macro
    std::vector<MacroNode*> macros_;  // open macros, innermost last
    std::vector<std::string> open_;   // what is open, for messages: "'if' of line 3"
};

}  // namespace gq::jinja
