// From the text of a pattern to the program that regex.cpp runs: a recursive descent into a small tree, then code for
// each node. In: a pattern. Out: RegexProgram, or FormatError(unsupported) naming construct and place. Must not know
// how programs run.
#include <limits>
#include <optional>

#include "core/text/regex.h"
#include "core/text/unicode.h"
#include "formats/format_error.h"

namespace gq {

namespace {

using Op = RegexProgram::Op;

constexpr uint32_t unlimited = std::numeric_limits<uint32_t>::max();
constexpr uint32_t max_repeat = 1000;     // the largest m or n of {m,n}
constexpr size_t max_code_size = 20'000;  // instructions
constexpr size_t max_depth = 32;          // of groups and nested classes

[[noreturn]] void refuse(std::string_view pattern, const std::string& what) {
    format_fail(FormatError::Kind::unsupported, "tokenizer regex \"%.200s\": %s is not supported",
                std::string(pattern).c_str(), what.c_str());
}

bool at_words(Op op) {
    return op == Op::word_edge || op == Op::no_word_edge;
}

enum class Greed { greedy, lazy, possessive };

struct Node {
    enum class Kind { set, sequence, alternatives, repeat, group, edge };
    Kind kind = Kind::sequence;
    std::vector<Node> children = {};  // sequence, alternatives: any number; repeat, group: one
    CharSet set = {};                 // set
    Op op = Op::accept;               // group: look_ahead, look_ahead_not or atomic; edge: which one
    uint32_t min = 0, max = 0;        // repeat
    Greed greed = Greed::greedy;
};

// \w outside brackets, and what \b asks: as in Oniguruma, the numbers of Latin-1 besides the property that \w inside
// brackets is.
CharSet bare_word() {
    return CharSet::word().united(CharSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}));
}

Node set_node(CharSet set) {
    return {.kind = Node::Kind::set, .set = std::move(set)};
}

Node around(Node::Kind kind, Node child, Op op = Op::accept) {
    Node out{.kind = kind, .op = op};
    out.children.push_back(std::move(child));
    return out;
}

class Parser {
  public:
    explicit Parser(std::string_view pattern) : pattern_(pattern) {}

    Node parse() {
        Node node = parse_alternatives();
        if (!at_end()) refuse_here("an unmatched )");
        return node;
    }

  private:
    struct Bounds {
        uint32_t min, max;
        bool interval = false;  // written as {…}
    };

    bool at_end() const { return at_ == pattern_.size(); }
    bool looking_at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
    bool take(std::string_view text) {
        const bool found = looking_at(text);
        if (found) at_ += text.size();
        return found;
    }
    [[noreturn]] void refuse_here(const std::string& what) const {
        refuse(pattern_, what + " at byte " + std::to_string(at_));
    }
    void enter() {
        if (++depth_ > max_depth) refuse_here("nesting deeper than 32 groups or classes");
    }
    char32_t take_code_point() {
        if (at_end()) refuse_here("an end in the middle of a construct");
        const CodePoint c = code_point_at(pattern_, at_);
        at_ += c.length;
        return c.value;
    }
    CharSet with_case(CharSet set) const { return ignore_case_ ? set.ignoring_case() : set; }

    Node parse_alternatives();
    Node parse_sequence();
    Node parse_atom();
    Node parse_group();
    Node close_group(Node body);
    std::optional<Op> take_edge();
    std::optional<Bounds> take_repeat();
    std::optional<Bounds> take_interval();
    std::optional<uint32_t> take_number();
    std::optional<CharSet> take_class_escape();
    CharSet take_property(bool negated);
    char32_t take_escaped_code_point();
    char32_t take_hex(size_t max_digits);
    CharSet parse_class();
    CharSet parse_class_item();

    std::string_view pattern_;
    size_t at_ = 0;
    size_t depth_ = 0;
    bool ignore_case_ = false;
};

Node Parser::parse_alternatives() {
    Node out{.kind = Node::Kind::alternatives};
    do out.children.push_back(parse_sequence());
    while (take("|"));
    return out;
}

Node Parser::parse_sequence() {
    Node out;
    while (!at_end() && !looking_at("|") && !looking_at(")")) {
        Node atom = parse_atom();
        for (size_t repeats = 0; const auto bounds = take_repeat(); ++repeats) {
            if (repeats == max_depth) refuse_here("more than 32 repeats of repeats");
            atom = around(Node::Kind::repeat, std::move(atom));
            atom.min = bounds->min;
            atom.max = bounds->max;
            // As in Ruby: {m}? makes {m} optional and {m,n}+ repeats it, where behind other repeats these mean lazy and
            // possessive.
            const bool exact = bounds->interval && bounds->min == bounds->max;
            if (!exact && take("?")) {
                atom.greed = Greed::lazy;
            } else if (!bounds->interval && take("+")) {
                atom.greed = Greed::possessive;
            }
        }
        out.children.push_back(std::move(atom));
    }
    return out;
}

std::optional<Parser::Bounds> Parser::take_repeat() {
    if (take("?")) return Bounds{0, 1};
    if (take("*")) return Bounds{0, unlimited};
    if (take("+")) return Bounds{1, unlimited};
    return take_interval();
}

// {m} {m,} {,n} {m,n}; anything else that starts with a brace is plain text, as in Ruby.
std::optional<Parser::Bounds> Parser::take_interval() {
    const size_t start = at_;
    if (take("{")) {
        const std::optional<uint32_t> min = take_number();
        const bool comma = take(",");
        const std::optional<uint32_t> max = comma ? take_number() : min;
        if ((min || max) && take("}")) {
            const Bounds bounds{min.value_or(0), max.value_or(unlimited), true};
            if (bounds.min > bounds.max) refuse_here("a repeat whose minimum is above its maximum");
            return bounds;
        }
    }
    at_ = start;
    return std::nullopt;
}

std::optional<uint32_t> Parser::take_number() {
    std::optional<uint32_t> value;
    while (!at_end() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
        value = value.value_or(0) * 10 + static_cast<uint32_t>(pattern_[at_++] - '0');
        if (*value > max_repeat) refuse_here("a repeat count above 1000");
    }
    return value;
}

Node Parser::parse_atom() {
    if (const auto edge = take_edge()) return {.kind = Node::Kind::edge, .op = *edge};
    if (take("(")) return parse_group();
    if (take("[")) return set_node(with_case(parse_class()));
    if (take(".")) return set_node(CharSet::of('\n').negated());
    for (const char repeat : {'?', '*', '+'}) {
        if (!at_end() && pattern_[at_] == repeat) refuse_here("a repeat of nothing");
    }
    if (!take("\\")) return set_node(with_case(CharSet::of(take_code_point())));
    if (take("w")) return set_node(bare_word());
    if (take("W")) return set_node(bare_word().negated());
    if (auto set = take_class_escape()) return set_node(with_case(std::move(*set)));
    return set_node(with_case(CharSet::of(take_escaped_code_point())));
}

std::optional<Op> Parser::take_edge() {
    struct Edge {
        const char* text;
        Op op;
    };
    static constexpr Edge edges[] = {{"^", Op::line_begin},    {"$", Op::line_end},
                                     {"\\A", Op::text_begin},  {"\\z", Op::text_end},
                                     {"\\b", Op::word_edge},   {"\\Z", Op::text_end_or_last_newline},
                                     {"\\B", Op::no_word_edge}};
    for (const Edge& edge : edges) {
        if (take(edge.text)) return edge.op;
    }
    return std::nullopt;
}

// Behind "(". Capturing groups capture nothing: no tokenizer looks at captures.
Node Parser::parse_group() {
    enter();
    const bool outer_case = ignore_case_;
    Node out;
    if (take("?=")) {
        out = around(Node::Kind::group, close_group(parse_alternatives()), Op::look_ahead);
    } else if (take("?!")) {
        out = around(Node::Kind::group, close_group(parse_alternatives()), Op::look_ahead_not);
    } else if (take("?>")) {
        out = around(Node::Kind::group, close_group(parse_alternatives()), Op::atomic);
    } else if (take("?i)")) {  // reaches to the end of the group around it
        ignore_case_ = true;
        out = parse_alternatives();
    } else {
        if (take("?i:")) {
            ignore_case_ = true;
        } else if (take("?-i:")) {
            ignore_case_ = false;
        } else if (looking_at("?") && !take("?:")) {
            --at_;
            refuse_here("the group \"" + std::string(pattern_.substr(at_, 4)) + "\"");
        }
        out = close_group(parse_alternatives());
    }
    ignore_case_ = outer_case;
    --depth_;
    return out;
}

Node Parser::close_group(Node body) {
    if (!take(")")) refuse_here("a group without its )");
    return body;
}

// Behind a backslash: an escape that stands for a class, or nothing taken.
std::optional<CharSet> Parser::take_class_escape() {
    if (take("s")) return CharSet::whitespace();
    if (take("S")) return CharSet::whitespace().negated();
    if (take("d")) return CharSet::decimal_digits();
    if (take("D")) return CharSet::decimal_digits().negated();
    if (take("w")) return CharSet::word();
    if (take("W")) return CharSet::word().negated();
    if (take("p{")) return take_property(false);
    if (take("P{")) return take_property(true);
    return std::nullopt;
}

CharSet Parser::take_property(bool negated) {
    if (take("^")) negated = !negated;
    const size_t end = pattern_.find('}', at_);
    const std::string name(pattern_.substr(at_, end == std::string_view::npos ? end : end - at_));
    const CharSet set = CharSet::of_category(name);
    if (end == std::string_view::npos || set.empty()) refuse_here("the property \\p{" + name.substr(0, 40) + "}");
    at_ = end + 1;
    return negated ? set.negated() : set;
}

// Behind a backslash: an escape that stands for one code point.
char32_t Parser::take_escaped_code_point() {
    struct Escape {
        char letter;
        char32_t value;
    };
    static constexpr Escape escapes[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'},
                                         {'v', '\v'}, {'a', '\a'}, {'e', 0x1B}};
    const char32_t c = take_code_point();
    for (const Escape& escape : escapes) {
        if (c == static_cast<char32_t>(escape.letter)) return escape.value;
    }
    if (c == 'u') return take_hex(4);
    if (c == 'x' && !looking_at("{")) return take_hex(2);
    if (c == 'x' && take("{")) {
        const char32_t value = take_hex(6);
        if (!take("}")) refuse_here("an \\x{ without its }");
        return value;
    }
    const bool letter_or_digit = c < 128 && is_word(c) && c != '_';
    if (letter_or_digit) refuse_here(std::string("the escape \\") + static_cast<char>(c));
    return c;
}

char32_t Parser::take_hex(size_t max_digits) {
    static constexpr std::string_view digits = "0123456789abcdef";
    char32_t value = 0;
    size_t n = 0;
    for (; n < max_digits && !at_end(); ++n, ++at_) {
        const size_t digit = digits.find(static_cast<char>(pattern_[at_] | 0x20));
        if (digit == std::string_view::npos || pattern_[at_] < '0') break;
        value = value * 16 + static_cast<char32_t>(digit);
    }
    if (n == 0 || value > last_code_point) refuse_here("this hexadecimal escape");
    return value;
}

// Behind "[": items up to the "]", with && between parts that are intersected.
CharSet Parser::parse_class() {
    enter();
    const bool negated = take("^");
    CharSet all = CharSet().negated(), part;
    bool any = false;
    while (!take("]")) {
        if (take("&&")) {
            all = all.intersected(part);
            part = CharSet();
        } else {
            part = part.united(parse_class_item());
            any = true;
        }
    }
    if (!any) refuse_here("an empty class");
    --depth_;
    const CharSet set = with_case(all.intersected(part));
    return negated ? set.negated() : set;
}

CharSet Parser::parse_class_item() {
    if (looking_at("[:")) refuse_here("the class " + std::string(pattern_.substr(at_, 12)));
    if (take("[")) return parse_class();
    const auto take_single = [&] { return take("\\") ? take_escaped_code_point() : take_code_point(); };
    if (take("\\")) {
        if (auto set = take_class_escape()) return *set;
        --at_;
    }
    const char32_t first = take_single();
    if (!looking_at("-") || looking_at("-]") || looking_at("-[")) return CharSet::of(first);
    ++at_;
    const char32_t last = take_single();
    if (last < first) refuse_here("a range that ends before it begins");
    return CharSet({{first, last}});
}

// True when the node can match the empty text, so that repeating it without limit would not end.
bool can_be_empty(const Node& node) {
    bool all = true, any = false;
    for (const Node& child : node.children) {
        const bool empty = can_be_empty(child);
        all = all && empty;
        any = any || empty;
    }
    switch (node.kind) {
        case Node::Kind::set:
            return false;
        case Node::Kind::alternatives:
            return any;
        case Node::Kind::repeat:
            return node.min == 0 || all;
        case Node::Kind::group:
            return node.op != Op::atomic || all;
        default:
            return all;  // an edge has no children
    }
}

class Compiler {
  public:
    explicit Compiler(std::string_view pattern) : pattern_(pattern) {}

    RegexProgram compile(const Node& node) {
        add(node);
        emit({Op::accept});
        return std::move(program_);
    }

  private:
    size_t emit(RegexProgram::Instruction instruction) {
        if (program_.code.size() == max_code_size) refuse(pattern_, "a pattern of more than 20000 instructions");
        program_.code.push_back(instruction);
        return program_.code.size() - 1;
    }
    uint32_t here() const { return static_cast<uint32_t>(program_.code.size()); }
    uint32_t add_set(const CharSet& set);
    void add(const Node& node);
    void add_alternatives(const Node& node);
    void add_repeat(const Node& node);
    void add_general_repeat(const Node& node);
    void add_group(Op op, const Node& body);

    std::string_view pattern_;
    RegexProgram program_;
};

uint32_t Compiler::add_set(const CharSet& set) {
    for (size_t i = 0; i < program_.sets.size(); ++i) {
        if (program_.sets[i].ranges() == set.ranges()) return static_cast<uint32_t>(i);
    }
    program_.sets.push_back(set);
    return static_cast<uint32_t>(program_.sets.size() - 1);
}

void Compiler::add(const Node& node) {
    switch (node.kind) {
        case Node::Kind::set:
            emit({Op::one, add_set(node.set)});
            return;
        case Node::Kind::alternatives:
            return add_alternatives(node);
        case Node::Kind::repeat:
            return add_repeat(node);
        case Node::Kind::group:
            return add_group(node.op, node.children.front());
        case Node::Kind::edge:
            emit({node.op, at_words(node.op) ? add_set(bare_word()) : 0});
            return;
        default:
            for (const Node& child : node.children) add(child);
    }
}

void Compiler::add_alternatives(const Node& node) {
    std::vector<size_t> jumps;
    for (size_t i = 0; i + 1 < node.children.size(); ++i) {
        const size_t split = emit({Op::split, here() + 1});
        add(node.children[i]);
        jumps.push_back(emit({Op::jump}));
        program_.code[split].b = here();
    }
    add(node.children.back());
    for (const size_t jump : jumps) program_.code[jump].a = here();
}

void Compiler::add_repeat(const Node& node) {
    if (node.greed == Greed::possessive) {
        Node greedy = node;
        greedy.greed = Greed::greedy;
        return add_group(Op::atomic, greedy);
    }
    const Node& body = node.children.front();
    if (body.kind == Node::Kind::set && node.greed == Greed::greedy) {
        emit({Op::repeat, add_set(body.set), 0, node.min, node.max});
        return;
    }
    if (node.max == unlimited && can_be_empty(body)) refuse(pattern_, "repeating without limit what can be empty");
    add_general_repeat(node);
}

// min copies of the body, then a loop or max - min nested options.
void Compiler::add_general_repeat(const Node& node) {
    const Node& body = node.children.front();
    const auto emit_split = [&] { return emit({Op::split}); };
    const auto aim = [&](size_t split, uint32_t inside, uint32_t outside) {
        program_.code[split].a = node.greed == Greed::lazy ? outside : inside;
        program_.code[split].b = node.greed == Greed::lazy ? inside : outside;
    };
    for (uint32_t i = 0; i < node.min; ++i) {
        const uint32_t before = here();
        add(body);
        if (here() == before) break;  // an empty body: a thousand thousand copies would still be nothing
    }
    if (node.max == unlimited) {
        const size_t split = emit_split();
        add(body);
        emit({Op::jump, static_cast<uint32_t>(split)});
        aim(split, static_cast<uint32_t>(split) + 1, here());
        return;
    }
    std::vector<size_t> splits;
    for (uint32_t i = node.min; i < node.max; ++i) {
        splits.push_back(emit_split());
        add(body);
    }
    for (const size_t split : splits) aim(split, static_cast<uint32_t>(split) + 1, here());
}

void Compiler::add_group(Op op, const Node& body) {
    const size_t group = emit({op});
    add(body);
    emit({Op::accept});
    program_.code[group].a = here();
}

}  // namespace

RegexProgram parse_regex(std::string_view pattern) {
    return Compiler(pattern).compile(Parser(pattern).parse());
}

}  // namespace gq
