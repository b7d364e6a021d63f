// Messages of FormatError: names out of files made printable, messages of any length.
// In: hostile bytes and long texts. Out: checks of the message.
// Must not know the formats that throw.
#include "formats/format_error.h"

#include <doctest/doctest.h>

#include "tests/formats/format_test.h"

namespace {

TEST_SUITE("formats") {
    TEST_CASE("quoted text is printable, whatever the file holds") {
        CHECK(gq::quoted("") == "\"\"");
        CHECK(gq::quoted("a Ġ😀") == "\"a Ġ😀\"");
        CHECK(gq::quoted(std::string_view("\0\n\x1B[31m\x7F", 8)) == "\"\\x00\\x0A\\x1B[31m\\x7F\"");
        CHECK(gq::quoted("\xC3(\xED\xA0\x80") == "\"\\xC3(\\xED\\xA0\\x80\"");
        const std::string cut = gq::quoted(std::string(1000, 'n'));
        CHECK(cut.size() < 100);
        CHECK(cut.ends_with("nnn\"..."));
    }

    TEST_CASE("messages have any length and keep their kind") {
        const std::string name(10'000, 'n');
        const auto error = [&](gq::FormatError::Kind kind) {
            return gq::test::error_of([&] { gq::format_fail(kind, "%s: %d", name.c_str(), 7); });
        };
        CHECK(error(gq::FormatError::Kind::malformed) == "malformed: " + name + ": 7");
        CHECK(error(gq::FormatError::Kind::io).starts_with("io: n"));
    }
}

}  // namespace
