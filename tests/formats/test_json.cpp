// JSON: what is read, what is refused and with which words, what is written, and that large texts take linear time.
// In: texts. Out: checks of values, of messages with line and column, and of the time that large ones take.
// Must not know any schema.
#include "formats/json.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "tests/formats/format_test.h"

namespace {

using namespace gq;
using test::check_contains;
using Type = JsonValue::Type;

JsonValue parse(std::string_view text) {
    return parse_json(text, "t.json");
}
std::string error(std::string_view text) {
    return test::error_of([&] { parse(text); });
}
// The text read and written again.
std::string echo(std::string_view text) {
    return parse(text).dump();
}

TEST_SUITE("formats") {
    TEST_CASE("JSON values of every type are read") {
        const JsonValue value = parse(R"( {"a": [null, true, false], "b": {"": -12}, "c": 1.5e1, "d": "x"} )");
        CHECK(value.type() == Type::object);
        CHECK(value.at("a", "t").as_array("a").size() == 3);
        CHECK(value.at("a", "t").as_array("a")[0].is_null());
        CHECK(value.at("a", "t").as_array("a")[1].as_bool("a"));
        CHECK_FALSE(value.at("a", "t").as_array("a")[2].as_bool("a"));
        CHECK(value.at("b", "t").at("", "b").as_integer("b") == -12);
        CHECK(value.at("c", "t").type() == Type::number);
        CHECK(value.at("c", "t").as_integer("c") == 15);  // a number without fraction
        CHECK(value.at("d", "t").as_string("d") == "x");
        CHECK(value.find("e") == nullptr);
        CHECK(value.find("d")->find("e") == nullptr);
        CHECK(value.as_object("t")[2].first == "c");  // the order of the text
        CHECK(echo("[]") == "[]");
        CHECK(echo("{ }") == "{}");
    }

    TEST_CASE("JSON numbers keep their value") {
        CHECK(parse("9223372036854775807").as_integer("n") == std::numeric_limits<int64_t>::max());
        CHECK(parse("-9223372036854775808").as_integer("n") == std::numeric_limits<int64_t>::min());
        CHECK(parse("9223372036854775808").type() == Type::number);
        CHECK(parse("9223372036854775808").as_number("n") == 0x1p63);
        CHECK(parse("0.1").as_number("n") == 0.1);
        CHECK(parse("1E-5").as_number("n") == 1e-5);
        CHECK(parse("5e-324").as_number("n") == std::numeric_limits<double>::denorm_min());
        CHECK(parse("1.7976931348623157e308").as_number("n") == std::numeric_limits<double>::max());
        CHECK(std::signbit(parse("-0").as_number("n")));
        CHECK(std::signbit(parse("-1e-999").as_number("n")));
        CHECK(parse("7").as_number("n") == 7.0);
    }

    TEST_CASE("JSON numbers too small for a double are zero, too large ones are refused") {
        const std::string zeros(400, '0');
        CHECK(parse("1e-400").as_number("n") == 0);
        CHECK(parse("0." + zeros + "1").as_number("n") == 0);
        CHECK(parse("0." + zeros + "1e401").as_number("n") == 1);
        CHECK(parse("0e99999999999999999999").as_number("n") == 0);
        CHECK(parse("1e-99999999999999999999").as_number("n") == 0);
        CHECK(parse("1" + zeros + "e-400").as_number("n") == 1);
        const char* const message =
            "malformed: t.json: line 1, column 1: expected a number that fits a double, found \"1e400\"";
        CHECK(error("1e400") == message);
        for (const char* text : {"-1e309", "1e99999999999999999999", "1e+400"}) {
            check_contains(error(text), "expected a number that fits a double");
        }
        check_contains(error("1" + zeros), "fits a double");
        check_contains(error("0." + zeros + "1e800"), "fits a double");
    }

    TEST_CASE("JSON strings: escapes become UTF-8") {
        CHECK(parse(R"("\"\\\/\b\f\n\r\t")").as_string("s") == "\"\\/\b\f\n\r\t");
        CHECK(parse(R"("\u0041\u00e9\u20AC\uD83D\ude00")").as_string("s") == "Aé€😀");
        CHECK(parse(R"("a\u0000b")").as_string("s") == std::string("a\0b", 3));
        CHECK(parse("\"Ġé€😀\"").as_string("s") == "Ġé€😀");
        CHECK(parse("\"\x7F\"").as_string("s") == "\x7F");
    }

    TEST_CASE("JSON that is refused: place, expectation, finding") {
        const std::pair<std::string_view, const char*> cases[] = {
            {"", "line 1, column 1: expected a value, found the end of the text"},
            {"{} x", "line 1, column 4: expected the end of the text, found \"x\""},
            {"[1,]", "line 1, column 4: expected a value, found \"]\""},
            {"[1 2]", "line 1, column 4: expected ',' or ']', found \"2\""},
            {"[1", "line 1, column 3: expected ',' or ']', found the end of the text"},
            {"{\"a\":1,}", "line 1, column 8: expected a key in double quotes, found \"}\""},
            {"{a:1}", "line 1, column 2: expected a key in double quotes, found \"a\""},
            {"{\"a\" 1}", "line 1, column 6: expected ':', found \"1\""},
            {"{\"a\":1\n \"b\":2}", "line 2, column 2: expected ',' or '}', found \"\"\""},
            {"01", "line 1, column 1: expected a number without leading zeros, found one with"},
            {"-012", "line 1, column 1: expected a number without leading zeros, found one with"},
            {"-", "line 1, column 2: expected a digit, found the end of the text"},
            {"1.", "line 1, column 3: expected a digit, found the end of the text"},
            {".5", "line 1, column 1: expected a value, found \".\""},
            {"1e+", "line 1, column 4: expected a digit, found the end of the text"},
            {"+1", "line 1, column 1: expected a value, found \"+\""},
            {"NaN", "line 1, column 1: expected a value, found \"N\""},
            {"Infinity", "line 1, column 1: expected a value, found \"I\""},
            {"-Infinity", "line 1, column 2: expected a digit, found \"I\""},
            {"nul", "line 1, column 1: expected a value, found \"n\""},
            {"'a'", "line 1, column 1: expected a value, found \"'\""},
            {"\"a", "line 1, column 3: expected '\"', found the end of the text"},
            {"\"a\nb\"", "line 1, column 3: expected a string without bare control characters, found \"\\x0A\""},
            {std::string_view("\"\0\"", 3),
             "line 1, column 2: expected a string without bare control characters, found \"\\x00\""},
            {"\"\\x\"", "line 1, column 3: expected one of \" \\ / b f n r t u after a backslash, found \"x\""},
            {"\"\\",
             "line 1, column 3: expected one of \" \\ / b f n r t u after a backslash, found the end of the text"},
            {"\"\\u12G4\"", "line 1, column 4: expected four hexadecimal digits, found \"1\""},
            {"\"\\u-123\"", "line 1, column 4: expected four hexadecimal digits, found \"-\""},
            {"\"\\ud83d\"", "line 1, column 2: expected a surrogate pair, found a lone surrogate"},
            {"\"\\ude00\"", "line 1, column 2: expected a surrogate pair, found a lone surrogate"},
            {"\"\\ude00\\ude00\"", "line 1, column 2: expected a surrogate pair, found a lone surrogate"},
            {"\"\\ud83d\\u0041\"", "line 1, column 2: expected a surrogate pair, found a lone surrogate"},
            {"\"\xC3\"", "line 1, column 2: expected well-formed UTF-8, found \"\\xC3\""},
            {"\"\xC0\x80\"", "line 1, column 2: expected well-formed UTF-8, found \"\\xC0\""},
            {"\"\xED\xA0\x80\"", "line 1, column 2: expected well-formed UTF-8, found \"\\xED\""},
            {"\"\xF4\x90\x80\x80\"", "line 1, column 2: expected well-formed UTF-8, found \"\\xF4\""},
            {"\xEF\xBB\xBF{}", "line 1, column 1: expected a value, found \"\xEF\xBB\xBF\""},
            {"[1,\n  {\"a\": 1, \"b\": 2, \"a\": 3}]",
             "line 2, column 3: expected an object whose keys differ, found the key \"a\" twice"},
            {R"({"a":1,"\u0061":2})",
             "line 1, column 1: expected an object whose keys differ, found the key \"a\" twice"},
        };
        for (const auto& [text, message] : cases) {
            CHECK(error(text) == std::string("malformed: t.json: ") + message);
        }
    }

    TEST_CASE("JSON depth is bounded") {
        const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
        CHECK(parse(nested(64)).is_array());
        CHECK(error(nested(65)) ==
              "malformed: t.json: line 1, column 65: expected at most 64 arrays and objects inside each other, found "
              "one more");
        check_contains(error(std::string(1'000'000, '[')), "at most 64");
        CHECK(test::error_of([] { parse_json(R"({"a":[{"b":1}]})", "h", {.max_depth = 3}); }) == "no error");
        check_contains(test::error_of([] { parse_json(R"({"a":[{"b":[]}]})", "h", {.max_depth = 3}); }), "at most 3");
    }

    TEST_CASE("JSON of the wrong type is named with what was found") {
        const JsonValue value = parse(R"({"n": 1.5, "big": 1e300, "s": "x"})");
        const auto message = [](auto call) { return test::error_of(call); };
        CHECK(message([&] { value.as_array("config.json"); }) ==
              "malformed: config.json: expected an array, found an object");
        CHECK(message([&] { value.at("n", "c").as_string("name"); }) ==
              "malformed: name: expected a string, found a number");
        CHECK(message([&] { value.at("s", "c").as_number("n"); }) == "malformed: n: expected a number, found a string");
        CHECK(message([&] { value.at("n", "c").as_integer("n"); }) ==
              "malformed: n: expected an integer of 64 bits, found 1.5");
        check_contains(message([&] { value.at("big", "c").as_integer("n"); }), "expected an integer of 64 bits");
        CHECK(message([&] { value.at("x", "config.json"); }) ==
              "malformed: config.json: expected the key \"x\", found none");
        CHECK(message([&] { JsonValue().at("x", "c"); }) == "malformed: c: expected an object, found null");
    }

    TEST_CASE("JSON is written so that it reads back the same") {
        const char* const text = R"({"a":[null,true,-3,0.1,2.0,1e+300,-0.0],"b":{},"c":"\"\\\n\u0001é"})";
        CHECK(echo(text) == text);
        CHECK(parse("{\"a\":[1,{}],\"b\":[]}").dump(2) == "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
        CHECK(JsonValue::of_number(NAN).dump() == "null");
        CHECK(JsonValue::of_number(-INFINITY).dump() == "null");
        CHECK(JsonValue::of_string("a\xFFz").dump() == "\"a\xEF\xBF\xBDz\"");

        JsonValue built;
        built.set("list", JsonValue());
        JsonValue list;
        list.push(JsonValue::of_integer(1));
        built.set("more", list);
        CHECK(built.dump() == R"({"list":null,"more":[1]})");
        check_contains(test::error_of([&] { built.push(JsonValue()); }), "expected an array");
        check_contains(test::error_of([&] { list.set("k", JsonValue()); }), "expected an object");
    }

    TEST_CASE("JSON objects of many members take no quadratic time") {
        std::string text = "{";
        for (size_t i = 0; i < 200'000; i++) text += "\"token number " + std::to_string(i * 7919 % 200'000) + "\":1,";
        text.back() = '}';
        const auto begin = std::chrono::steady_clock::now();
        CHECK(parse(text).as_object("t").size() == 200'000);
        // 0.2 s here; comparing each pair of keys, 2·10^10 times, takes minutes. The bound leaves room for emulators.
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
        check_contains(error(text.substr(0, text.size() - 1) + ",\"token number 77777\":2}"),
                       "the key \"token number 77777\" twice");
    }

    TEST_CASE("find_duplicate and is_utf8") {
        CHECK_FALSE(find_duplicate({}).has_value());
        CHECK_FALSE(find_duplicate({"a", "", "b"}).has_value());
        CHECK(find_duplicate({"a", "c", "b", "c"}) == "c");
        CHECK(is_utf8("aé€😀"));
        CHECK_FALSE(is_utf8("a\xE2\x82"));
        CHECK_FALSE(is_utf8("\x80"));
    }
}

}  // namespace
