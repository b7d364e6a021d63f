// Lines of multiple-choice questions: what is read, and the words of what is refused.
// In: lines. Out: checks. Must not know how questions are scored.
#include "apps/jsonl.h"

#include <doctest/doctest.h>

TEST_SUITE("apps") {
    namespace {

    const std::string good = R"({"context": "c", "choices": ["x", "y"], "answer": 1})";

    std::string error_of(std::string_view line) {
        jsonl::Question question;
        return jsonl::parse_question(line, question);
    }

    void refused(std::string_view line, std::string_view words) {
        const std::string error = error_of(line);
        CHECK_MESSAGE(error.find(words) != std::string::npos, line << " -> '" << error << "', expected: " << words);
    }

    std::string with_context(const std::string& text) {
        return R"({"context": ")" + text + R"(", "choices": ["x", "y"], "answer": 1})";
    }

    }  // namespace

    TEST_CASE("a question is read, its keys in any order, others passed over") {
        jsonl::Question q;
        CHECK(jsonl::parse_question(good, q) == "");
        CHECK(q.context == "c");
        CHECK(q.choices == std::vector<std::string>{"x", "y"});
        CHECK(q.answer == 1);
        CHECK(jsonl::parse_question(R"( {"id": {"a": [1, -2.5e3, {}, [], true, false, null, "]}"]}, "answer" : 2 ,)"
                                    "\t\"choices\":[\" a\",\" b\",\"\"],\"context\":\"\" } \r",
                                    q) == "");
        CHECK(q.context.empty());
        CHECK(q.choices == std::vector<std::string>{" a", " b", ""});
        CHECK(q.answer == 2);
    }

    TEST_CASE("escapes") {
        jsonl::Question q;
        CHECK(jsonl::parse_question(with_context(R"(\"\\\/\b\f\n\r\t \u0041\u00e9\u20AC\ud83d\ude00 é)"), q) == "");
        CHECK(q.context == "\"\\/\b\f\n\r\t A\u00e9\u20ac\U0001F600 \u00e9");
    }

    TEST_CASE("bad JSON is told with its column") {
        refused("", "column 1: '{' expected, found the end of the line");
        refused("[1]", "column 1: '{' expected, found '['");
        refused("\xEF\xBB\xBF{}", "column 1: '{' expected, found byte 0xEF");
        refused("{\"context\" 1}", "column 12: ':' expected, found '1'");
        refused("{\"context\": 7}", "column 13: a string expected, found '7'");
        refused("{\"context\": \"c\"", "',' or '}' expected, found the end of the line");
        refused("{\"context\": \"c", "'\"' expected, found the end of the line");
        refused("{\"context\": \"a\tb\"}", "an escape for a control character expected, found byte 0x09");
        refused("{\"choices\": \"x\"}", "column 13: '[' expected");
        refused("{\"choices\": [\"x\", 2]}", "a string expected, found '2'");
        refused("{\"choices\": [\"x\",]}", "a string expected, found ']'");
        refused("{\"answer\": \"1\"}", "a whole number expected, found '\"'");
        refused("{context: 1}", "a key expected, found 'c'");
        refused("{\"a\": tru}", "a value expected");
        refused("{\"a\": }", "a value expected, found '}'");
        refused("{\"a\": 1,}", "a key expected, found '}'");
        refused(good + " x", "the end of the line expected, found 'x'");
        for (const char* number : {"01", "+1", ".5", "1.", "1.e5", "1e", "-", "inf", "nan", "0x1"})
            CHECK(error_of(std::string("{\"a\": ") + number + "}") != "");
        refused("{\"a\":" + std::string(100000, '['), "at most 100 values inside each other");
    }

    TEST_CASE("bad escapes") {
        refused(with_context("\\x"), "an escape");
        refused(with_context("\\u12"), "four hexadecimal digits");
        refused(with_context("\\u-123"), "four hexadecimal digits");
        refused(with_context("\\ud83d"), "a pair of surrogates");
        refused(with_context("\\ud83d\\u0041"), "a pair of surrogates");
        refused(with_context("\\ude00"), "a pair of surrogates");
        refused("{\"context\": \"\\", "an escape");
        refused("{\"context\": \"\\u", "four hexadecimal digits");
    }

    TEST_CASE("what the keys must hold") {
        refused("{}", "key \"context\" expected, not found");
        refused(R"({"context": "c", "answer": 0})", "key \"choices\" expected, not found");
        refused(R"({"context": "c", "choices": ["x", "y"]})", "key \"answer\" expected, not found");
        refused(R"({"context": "c", "context": "d"})", "\"context\" once expected");
        refused(R"({"context": "c", "choices": ["x"], "answer": 0})", "\"choices\": at least 2 expected, found 1");
        refused(R"({"context": "c", "choices": [], "answer": 0})", "at least 2 expected, found 0");
        for (const char* answer : {"2", "-1", "0.5", "1e400", "1e-400", "1e30"})
            refused(R"({"context": "c", "choices": ["x", "y"], "answer": )" + std::string(answer) + "}",
                    "\"answer\": a whole number of 0 … 1 expected, found");
    }
}
