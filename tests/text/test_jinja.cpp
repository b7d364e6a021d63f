// The template language against Jinja 3.1 in Hugging Face's environment (golden/jinja_semantics.json, made by
// golden/make_chat_goldens.py), the wording of errors, and the limits that end hostile templates.
// In: templates. Out: checks of text and messages. Must not know chats.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/base/status.h"
#include "tests/text/jinja_testing.h"

namespace gq {

namespace {

struct Expected {
    const char* source;
    const char* message;
};

void check_errors(const std::vector<Expected>& rows) {
    for (const Expected& row : rows) {
        CAPTURE(std::string(row.source));
        CHECK(error_of(row.source) == std::string("chat template, ") + row.message);
    }
}

Status status_of(const std::string& source) {
    try {
        render_text(source);
    } catch (const Error& error) {
        return error.status();
    }
    return Status::ok;
}

std::string repeated(const std::string& text, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += text;
    return out;
}

// A small share of the real limits, so that the tests are quick where sanitizers are slow.
jinja::Limits small_limits() {
    jinja::Limits limits;
    limits.steps = 100'000;
    limits.work_bytes = size_t{8} << 20;
    limits.text_bytes = size_t{1} << 20;
    return limits;
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("jinja: small templates render as with Jinja, errors are errors on the same line") {
        const JsonValue golden = read_golden_json("jinja_semantics.json");
        const auto& cases = golden.at("cases", "golden").as_array("cases");
        CHECK(cases.size() >= 400);
        for (const JsonValue& row : cases) {
            const std::string source = row.at("source", "case").as_string("source");
            CAPTURE(source);
            std::string output, message;
            try {
                output = render_text(source, row.at("context", "case"));
            } catch (const Error& error) {
                message = error.what();
            }
            if (const JsonValue* expected = row.find("output")) {
                CHECK(message == "");
                CHECK(output == expected->as_string("output"));
                continue;
            }
            CHECK_MESSAGE(message != "", row.at("error", "case").as_string("error") << " expected, found: " << output);
            if (const JsonValue* line = row.find("line")) {
                CHECK(message.find("line " + std::to_string(line->as_integer("line")) + ":") != std::string::npos);
            }
            if (const JsonValue* text = row.find("message")) {
                CHECK(message.find(text->as_string("message")) != std::string::npos);
            }
        }
    }

    TEST_CASE("jinja: what is not supported is an error that names line and construct") {
        check_errors({
            {"a\n{% include 'x' %}", "line 2: tag 'include' is not supported"},
            {"{% extends 'x' %}", "line 1: tag 'extends' is not supported"},
            {"{% block b %}{% endblock %}", "line 1: tag 'block' is not supported"},
            {"{% import 'x' as y %}", "line 1: tag 'import' is not supported"},
            {"{% autoescape true %}{% endautoescape %}", "line 1: tag 'autoescape' is not supported"},
            {"\n\n{% nope %}", "line 3: tag 'nope' is not supported"},
            {"{% if false %}{% do x %}{% endif %}", "line 1: tag 'do' is not supported"},
            {"{% for i in x recursive %}{% endfor %}", "line 1: 'recursive' loops are not supported"},
            {"\n{{ x|xmlattr }}", "line 2: filter 'xmlattr' is not supported"},
            {"{% if false %}{{ x|nofilter }}{% endif %}", "line 1: filter 'nofilter' is not supported"},
            {"{{ x is nonsense }}", "line 1: test 'nonsense' is not supported"},
            {"{{ [1]|map('nofilter')|list }}", "line 1: filter 'nofilter' is not supported"},
            {"{{ [1]|select('notest')|list }}", "line 1: test 'notest' is not supported"},
            {"{{ cycler('a') }}", "line 1: function 'cycler' is not supported"},
            {"{{ joiner() }}", "line 1: function 'joiner' is not supported"},
            {"{{ '%s' % 1 }}", "line 1: formatting a string with % is not supported"},
            {"{{ '{}'.format(1) }}", "line 1: method 'format' is not supported; '~' joins values"},
            {"{{ '\\N{DASH}' }}", "line 1: the string escape \\N{…} is not supported"},
        });
        CHECK(status_of("{% include 'x' %}") == Status::unsupported);
        CHECK(status_of("{{ x|xmlattr }}") == Status::unsupported);
        CHECK(status_of("{% if %}") == Status::bad_file);
    }

    TEST_CASE("jinja: text that is no template is an error that says what was expected and found") {
        check_errors({
            {"{% if x %}\n{% for i in y %}\n{% endif %}",
             "line 3: tag 'endif' closes nothing here (open: 'for' of line 2)"},
            {"a{% endfor %}", "line 1: tag 'endfor' closes nothing here (open: nothing)"},
            {"\n{% if x %}\n", "line 2: tag 'if' has no 'endif'"},
            {"{% macro m() %}", "line 1: tag 'macro' has no 'endmacro'"},
            {"\n{% raw %}x", "line 2: tag 'raw' has no 'endraw'"},
            {"x\n{# y", "line 2: the comment that starts here has no '#}'"},
            {"{{ x\n", "line 1: the tag that starts here has no '}}'"},
            {"{% if x\n", "line 1: the tag that starts here has no '%}'"},
            {"\n{{ 'abc }}", "line 2: the string that starts here has no end"},
            {"{{ 1 2 }}", "line 1: expected '}}', found an integer"},
            {"{{ (1 }}", "line 1: unexpected '}', expected ')'"},
            {"{{ }}", "line 1: expected an expression, found '}}'"},
            {"{% set 1 = 2 %}", "line 1: expected a name, found an integer"},
            {"{% set none = 2 %}", "line 1: 'none' cannot be assigned to"},
            {"{% for i x %}", "line 1: expected 'in', found 'x'"},
            {"{{ 1 ? 2 }}", "line 1: unexpected character '?'"},
            {"{{ “x” }}", "line 1: unexpected character '“'"},
            {"{{ 99999999999999999999 }}", "line 1: an integer does not fit into 64 bits"},
            {"{% break %}", "line 1: tag 'break' stands outside a loop"},
            {"{% for i in x %}{% macro m() %}{% continue %}{% endmacro %}{% endfor %}",
             "line 1: tag 'continue' stands outside a loop"},
        });
    }

    TEST_CASE("jinja: what a value cannot do is an error that names the line of the expression") {
        check_errors({
            {"\n\n{{ x.y }}", "line 3: 'x' is undefined"},
            {"{{ 'a' +\n x }}", "line 1: 'x' is undefined"},
            {"{{ {'a': 1}.b.c }}", "line 1: 'dict object' has no attribute 'b'"},
            {"{{ [1][5] + 1 }}", "line 1: list object has no element 5"},
            {"{{ f(1) }}", "line 1: this cannot be called: 'f' is undefined"},
            {"{{ 'a'.zap() }}", "line 1: this cannot be called: 'str object' has no attribute 'zap'"},
            {"{{ 1 + 'a' }}", "line 1: unsupported operand types for +: 'int' and 'str'"},
            {"{{ 1 < 'a' }}", "line 1: '<' has no order between 'int' and 'str'"},
            {"{{ 9223372036854775807 + 1 }}", "line 1: an integer does not fit into 64 bits"},
            {"{{ [].append(1) }}",
             "line 1: a template may not change a list: methods that do are refused (use "
             "namespace() and set)"},
            {"{{ 'a'|replace('b') }}", "line 1: 'replace' needs the argument 'new'"},
            {"{{ 'a'|trim('b', 'c') }}", "line 1: 'trim' takes at most 2 arguments, found 3"},
            {"{{ 'a'|trim(side='b') }}", "line 1: 'trim' takes no argument 'side'"},
            {"{{ 'a'|indent(width='b', width='c') }}", "line 1: 'indent' is given the argument 'width' twice"},
            {"{{ ','.join([1]) }}", "line 1: 'join' needs strings, found 'int'"},
            {"{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}", "line 2: macro 'm' takes at most 1 arguments, found 2"},
            {"{% set a, b = [1] %}", "line 1: 2 names cannot take 1 values"},
            {"{{ [1]|map('string') }}", "line 1: a value of type 'generator' cannot be printed"},
        });
        CHECK(status_of("{{ x.y }}") == Status::bad_file);
        CHECK(status_of("{{ raise_exception('no') }}") == Status::invalid_argument);
    }

    TEST_CASE("jinja: deep nesting is an error, not a stack overflow") {
        const size_t n = 200'000;
        for (const std::string& source : {"{{ " + repeated("(", n) + "1" + repeated(")", n) + " }}",
                                          "{{ " + repeated("[", n),
                                          "{{ " + repeated("{1:", n),
                                          "{{ " + repeated("not ", n) + "1 }}",
                                          "{{ " + repeated("-", n) + "1 }}",
                                          "{{ 1" + repeated("+1", n) + " }}",
                                          "{{ x" + repeated(".y", n) + " }}",
                                          "{{ x" + repeated("|trim", n) + " }}",
                                          "{{ x" + repeated("[0]", n) + " }}",
                                          "{{ x" + repeated("()", n) + " }}",
                                          "{{ 1" + repeated(" if 1 else 1", n) + " }}",
                                          "{{ 1" + repeated(" if 1", n) + " }}",
                                          "{{ 1" + repeated(" or 1", n) + " }}",
                                          "{{ 1" + repeated("**1", n) + " }}",
                                          repeated("{% if 1 %}", n),
                                          repeated("{% for i in x %}", n),
                                          "{% for " + repeated("(", n) + " in x %}",
                                          repeated("{% macro m() %}", n),
                                          "{{ x" + repeated(" is defined is defined", n) + " }}",
                                          repeated("{% set x %}", n)}) {
            CAPTURE(source.substr(0, 20));
            CHECK(error_of(source) != "");
        }
        CHECK(render_text("{{ 'a'" + repeated(" ~ 'a'", 5000) + " }}").size() == 5001);
        CHECK(render_text("{{ " + repeated("(", 60) + "1" + repeated(")", 60) + " }}") == "1");
        CHECK(render_text(repeated("{% if 1 %}", 60) + "x" + repeated("{% endif %}", 60)) == "x");
    }

    TEST_CASE("jinja: endless and exploding templates end in an error that names the limit") {
        const std::vector<Expected> rows = {
            {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested more than"},
            {"{% macro m(n) %}{{ m(n) ~ m(n) }}{% endmacro %}{{ m(1) }}", "nested more than"},
            {"{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "steps"},
            {"{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
             "bytes"},
            {"{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
             "bytes"},
            {"{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l "
             "}}",
             ""},
            {"{% set ns = namespace(l=()) %}{% for i in range(90) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: "
             "1} }}",
             ""},
            {"{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = "
             "[ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
             "steps"},
            {"{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}",
             "nested more than"},
            {"{{ 'x' * 1000000000000 }}", "grows past"},
            {"{{ [1] * 1000000000000 }}", "repeated"},
            {"{{ 'x'|center(1000000000000) }}", "grows past"},
            {"{{ 'x'.ljust(1000000000000) }}", "grows past"},
            {"{{ 'a\nb'|indent(1000000000000) }}", "grows past"},
            {"{{ [1]|tojson(indent=1000000000000) }}", "grows past"},
            {"{{ [1]|batch(1000000000000, 0)|list }}", "bytes"},
            {"{{ range(1000000000000) }}", "a range may have"},
            {"{{ ('a' * 10000)|replace('', 'b' * 10000) }}", "grows past"},
            {"{{ ('ab' * 400000).split('a')|length }}{{ ('ab' * 400000)|list|length }}", "bytes"},
            {"{{ strftime_now('%999999d') }}", "more than"},
        };
        for (const Expected& row : rows) {
            CAPTURE(std::string(row.source));
            const std::string message = error_of(row.source, small_limits());
            CHECK(message != "");
            CHECK_MESSAGE(message.find(row.message) != std::string::npos, message);
        }
    }

    TEST_CASE("jinja: values that hold each other are freed") {  // the leak sanitizer looks
        CHECK(render_text(
                  "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{% set a.a = [a, {'a': a}] %}"
                  "{{ b.a.b.a is defined }}") == "True");
        CHECK(render_text(
                  "{% macro m(f) %}{% set g = m %}{% macro n() %}{{ g is defined }}{% endmacro %}{{ n() }}{% endmacro "
                  "%}{% set ns = namespace(m=m) %}{{ ns.m(m) }}") == "True");
        CHECK(render_text(
                  "{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% for j in [ns.l] %}{% set ns.l = [loop] "
                  "%}{% endfor %}{% endfor %}{{ ns.l|length }}") == "1");
        CHECK(error_of("{% set a = namespace() %}{% set a.a = a %}{{ x.y }}") != "");
    }

    TEST_CASE("jinja: text that is not UTF-8 passes through") {
        jinja::Variables variables = {{"x", jinja::Value::text("a\xFF\xC3")}};
        const auto render = [&](const char* source) {
            return jinja::render(jinja::parse(source), variables, stopped_clock());
        };
        CHECK(render("{{ x }}|{{ x|upper }}|{{ x|length }}|{{ x[1:2] }}|{{ x ~ '' }}") ==
              "a\xFF\xC3|A\xFF\xC3|3|\xFF|a\xFF\xC3");
        CHECK(render("\xFE{{ x.strip('a') }}") == "\xFE\xFF\xC3");
    }
}

}  // namespace gq
