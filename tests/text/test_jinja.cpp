// The template language against Jinja 3.1 in Hugging Face's environment (golden/jinja_semantics.json, made by golden/make_chat_goldens.py),
// the wording of errors, and the limits that end hostile templates.
#include <doctest/doctest.h>

#include <string>
#include <thread>

#include "core/base/status.h"
#include "tests/text/jinja_testing.h"

namespace gq {

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
}

}  // namespace gq
