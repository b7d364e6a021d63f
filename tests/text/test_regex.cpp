// The regular expressions of tokenizers against the pieces that the reference library cuts, their refusals, and their
// bounds.
// In: patterns and texts. Out: checks of pieces and messages. Must not know tokens.
#include "core/text/regex.h"

#include "tests/text/tokenizer_test.h"

using namespace gq;
using namespace gq::test;

namespace {

// What a Split with the behavior Isolated cuts.
std::vector<std::string> pieces(const std::string& pattern, const std::string& text) {
    std::vector<Regex::Match> matches;
    Regex(pattern).find_all(text, matches);
    std::vector<std::string> out;
    size_t done = 0;
    const auto add = [&](size_t begin, size_t end) {
        if (end > begin) out.push_back(text.substr(begin, end - begin));
    };
    for (const Regex::Match& match : matches) {
        add(done, match.begin);
        add(match.begin, match.end);
        done = match.end;
    }
    add(done, text.size());
    return out;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) out += "[" + part + "]";
    return out;
}

size_t count_matches(const std::string& pattern, const std::string& text) {
    std::vector<Regex::Match> matches;
    Regex(pattern).find_all(text, matches);
    return matches.size();
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("patterns cut as the reference library does") {
        const JsonValue expected = golden("regex.expected.json");
        CHECK(expected.at("rows", "golden").as_array("rows").size() >= 50);
        for (const JsonValue& row : expected.at("rows", "golden").as_array("rows")) {
            const std::string &pattern = row.at("pattern", "row").as_string("pattern"),
                              &text = row.at("text", "row").as_string("text");
            std::vector<std::string> wanted;
            for (const JsonValue& piece : row.at("pieces", "row").as_array("pieces"))
                wanted.push_back(piece.as_string("piece"));
            CHECK_MESSAGE(joined(pieces(pattern, text)) == joined(wanted), pattern, " on ", text);
        }
    }

    TEST_CASE("a literal matches itself, whatever its characters mean in a pattern") {
        const std::string odd = "a.b*c+[d](e){2}^$|\\?-é";
        std::vector<Regex::Match> matches;
        Regex::literal(odd).find_all("x" + odd + odd, matches);
        REQUIRE(matches.size() == 2);
        CHECK(matches[0].begin == 1);
        CHECK(matches[1].end == 1 + 2 * odd.size());
    }

    TEST_CASE("what is not known is refused by name and place") {
        struct Case {
            const char *pattern, *named;
        };
        const Case cases[] = {
            {"(?<=a)b", "the group \"(?<=\" at byte 0"},
            {"a(?<!b)", "the group \"(?<!\" at byte 1"},
            {"(?<name>a)", "the group \"(?<n\""},
            {"(?m:a)", "the group \"(?m:\""},
            {R"((a)\1)", "the escape \\1"},
            {R"(\X)", "the escape \\X"},
            {R"(\p{Han}+)", "the property \\p{Han}"},
            {R"(\p{L)", "the property"},
            {"[[:alpha:]]", "the class [:alpha:]]"},
            {"[]", "an empty class"},
            {"[a", "an end in the middle"},
            {"(a", "a group without its )"},
            {"a)", "an unmatched ) at byte 1"},
            {"*a", "a repeat of nothing"},
            {"a{3,2}", "minimum is above its maximum"},
            {"a{1001}", "a repeat count above 1000"},
            {"(?:a*)*", "what can be empty"},
            {"(?:a{100}b){1000}{100}", "more than 20000 instructions"},
            {"[z-a]", "a range that ends before"},
            {R"(\x{110000})", "this hexadecimal escape"},
        };
        for (const Case& c : cases) {
            const std::string error = error_of([&] { Regex regex(c.pattern); });
            check_contains(error, "unsupported: ");
            check_contains(error, c.named);
        }
    }

    TEST_CASE("deep nesting and stacked repeats are refused, not followed") {
        check_contains(error_of([] { Regex regex(std::string(1000, '(') + std::string(1000, ')')); }),
                       "nesting deeper than 32");
        check_contains(error_of([] { Regex regex(std::string(1000, '[') + "a" + std::string(1000, ']')); }),
                       "nesting deeper");
        check_contains(error_of([] { Regex regex("a" + std::string(100000, '?')); }), "more than 32 repeats");
        CHECK(error_of([] { Regex regex("(?:){1000}{1000}{1000}{1000}"); }) == "no error");
    }

    TEST_CASE("catastrophic backtracking ends in an error") {
        check_contains(error_of([] { count_matches("(?:a|a)+$x", std::string(40, 'a')); }),
                       "error: tokenizer regex \"(?:a|a)+$x\" takes more than");
        check_contains(error_of([] { count_matches("(?:a|aa|aaa)+b", std::string(200, 'a')); }), "takes more than");
        check_contains(error_of([] { count_matches("a*b", std::string(1 << 16, 'a')); }), "takes more than");
        check_contains(error_of([] { count_matches("(?!(?:a|a)+$x)a", std::string(40, 'a')); }), "takes more than");
    }

    TEST_CASE("a megabyte that is one match takes no stack") {
        const std::string text(1 << 20, 'a');
        CHECK(count_matches("a+", text) == 1);
        CHECK(count_matches("(?:a|b)+", text) == 1);
        CHECK(count_matches("(?:ab?)*", text) == 1);
        CHECK(count_matches(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", std::string(1 << 20, ' ') + "x") == 2);
    }
}
