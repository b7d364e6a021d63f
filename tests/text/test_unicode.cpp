// UTF-8, character properties and normal forms against Python's unicodedata (tests/golden/make_tokenizer_goldens.py).
// In: golden hashes and texts. Out: checks over all code points.
// Must not use the tables as their own reference.
#include "core/text/unicode.h"

#include "core/text/char_set.h"
#include "tests/text/tokenizer_test.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr const char* category_names = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn";

template <typename Visit>
void for_every_code_point(const Visit& visit) {
    for (char32_t c = 0; c <= last_code_point; ++c) {
        if (c < 0xD800 || c > 0xDFFF) visit(c);
    }
}

std::string utf8(char32_t c) {
    std::string out;
    append_utf8(out, c);
    return out;
}

struct Form {
    const char* name;
    NormalForm form;
};
constexpr Form forms[] = {
    {"NFC", NormalForm::nfc}, {"NFD", NormalForm::nfd}, {"NFKC", NormalForm::nfkc}, {"NFKD", NormalForm::nfkd}};

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("every code point goes to UTF-8 and back") {
        size_t wrong = 0;
        for_every_code_point([&](char32_t c) {
            const std::string text = utf8(c);
            const CodePoint back = code_point_at(text, 0);
            wrong += back.value != c || back.length != text.size() || previous_code_point(text, text.size()) != 0;
            wrong += valid_utf8(text) != text;
        });
        CHECK(wrong == 0);
    }

    TEST_CASE("ill-formed UTF-8 becomes one U+FFFD for each maximal subpart") {
        // The Unicode Standard 15, tables 3-8 to 3-11.
        const char* const r = "\uFFFD";
        const auto times = [&](size_t n) {
            std::string out;
            while (n-- > 0) out += r;
            return out;
        };
        CHECK(valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == times(8) + "A");
        CHECK(valid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == times(8) + "A");
        CHECK(valid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == times(5) + "A" + times(2) + "B");
        CHECK(valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == times(4) + "A");
        CHECK(valid_utf8("a\xF0\x9F\x98") == "a" + times(1));
    }

    TEST_CASE("reading a cut sequence stays inside the text") {
        CHECK(code_point_at("\xF0\x9F", 0).length == 1);
        CHECK(code_point_at("\xF0\x9F", 0).value == replacement_character);
        CHECK(code_point_at("\x80", 0).length == 1);
    }

    TEST_CASE("categories and lower case of every code point equal unicodedata's") {
        const JsonValue expected = golden("unicode.expected.json");
        const JsonValue& hashes = expected.at("hashes", "golden");
        std::string categories, lower;
        for_every_code_point([&](char32_t c) {
            categories.append(category_names + 2 * static_cast<size_t>(category(c)), 2);
            lower += to_lower(utf8(c));
        });
        CHECK(std::to_string(fnv(categories)) == hashes.at("category", "golden").as_string("hash"));
        CHECK(std::to_string(fnv(lower)) == hashes.at("lower", "golden").as_string("hash"));
    }

    TEST_CASE("normal forms of every code point equal unicodedata's") {
        const JsonValue expected = golden("unicode.expected.json");
        for (const Form& form : forms) {
            std::string all;
            for_every_code_point([&](char32_t c) { all += normalize(utf8(c), form.form) + "\n"; });
            CHECK_MESSAGE(
                std::to_string(fnv(all)) == expected.at("hashes", "golden").at(form.name, "golden").as_string("hash"),
                form.name);
        }
    }

    TEST_CASE("normal forms of sequences of marks, letters and jamo equal unicodedata's") {
        const JsonValue expected = golden("unicode.expected.json");
        for (const JsonValue& row : expected.at("sequences", "golden").as_array("rows")) {
            const JsonValue::Array& texts = row.as_array("row");
            for (size_t i = 0; i < 4; ++i) {
                const std::string found = normalize(texts[0].as_string("text"), forms[i].form);
                CHECK_MESSAGE(found == texts[i + 1].as_string("form"), forms[i].name, " of ",
                              texts[0].as_string("text"));
            }
        }
    }

    TEST_CASE("whitespace and words follow the Unicode properties") {
        // PropList.txt, White_Space.
        const std::u32string white =
            U"\t\n\v\f\r "
            U"\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F"
            U"\u205F\u3000";
        size_t wrong = 0, found = 0;
        const CharSet set = CharSet::whitespace(), word = CharSet::word();
        for_every_code_point([&](char32_t c) {
            found += is_whitespace(c);
            wrong += is_whitespace(c) != (white.find(c) != std::u32string::npos) || set.contains(c) != is_whitespace(c);
            const bool joiner = c == 0x200C || c == 0x200D;  // words of UTS 18, but not in the reference's patterns
            wrong += is_word(c) != (word.contains(c) || joiner);
        });
        CHECK(found == 25);
        CHECK(wrong == 0);
        CHECK(is_word(U'_'));
        CHECK(is_word(0x24B6));
        CHECK(!is_word(U'-'));
    }

    TEST_CASE("case folding joins the letters that differ by case only") {
        CHECK(case_fold(U'K') == U'k');
        CHECK(case_fold(0x212A) == U'k');  // Kelvin sign
        CHECK(case_fold(0x17F) == U's');   // long s
        CHECK(case_fold(0x3C2) == 0x3C3);  // final sigma
        CHECK(case_fold(0x1E9E) == 0xDF);  // capital sharp s
        CHECK(case_fold(0x130) == 0x130);  // dotted capital I folds to two code points only
        CHECK(to_lower("\u0130") == "i\u0307");
    }

    TEST_CASE("sets of code points: union, intersection, complement, case") {
        const CharSet letters({{'a', 'f'}}), some({{'d', 'z'}, {'0', '9'}});
        CHECK(letters.united(some).ranges() == std::vector<CharSet::Range>{{'0', '9'}, {'a', 'z'}});
        CHECK(letters.intersected(some).ranges() == std::vector<CharSet::Range>{{'d', 'f'}});
        CHECK(letters.negated().negated().ranges() == letters.ranges());
        CHECK(CharSet().negated().ranges() == std::vector<CharSet::Range>{{0, last_code_point}});
        CHECK(CharSet::of('k').ignoring_case().ranges() ==
              std::vector<CharSet::Range>{{'K', 'K'}, {'k', 'k'}, {0x212A, 0x212A}});
        CHECK(CharSet::of_category("Lx").empty());
        CHECK(CharSet::of_category("L").contains(0x20000));
    }
}
