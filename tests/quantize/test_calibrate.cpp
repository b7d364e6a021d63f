// Calibration texts: what is no text, ids that the model has no rows for, and the text that is built in.
// In: bytes, ids. Out: checks of windows and messages. Must not quantize.
#include "core/quantize/calibrate.h"

#include <set>

#include "core/quantize/calibration_text.h"
#include "formats/utf8.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

bool is_utf8_text(std::string_view text) {
    while (!text.empty()) {
        const size_t length = utf8_sequence_bytes(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("invalid UTF-8 in a calibration text is named by file and byte") {
        const TemporaryPath text("invalid.txt");
        QuantizeOptions options = tiny_options(4);
        options.calibration = text.path();
        // A lone continuation byte, an overlong form, a surrogate, and a sequence cut off by the end.
        for (const char* bad : {"\x80 more", "\xc0\xaf more", "\xed\xa0\x80 more", "\xe2\x82"}) {
            const std::string good = "vingt-cinq caf\xc3\xa9s ";
            std::ofstream(text.path(), std::ios::binary) << good << bad;
            const Refusal refusal = refuse(golden_path("tiny_llama_tied"), options);
            INFO(refusal.message);
            CHECK(refusal.says(text.path().string()));
            CHECK(refusal.says("UTF-8 text expected"));
            CHECK(refusal.says("at byte " + std::to_string(good.size())));
            CHECK(refusal.n_progress == 0);
        }
    }

    TEST_CASE("ids beyond the model's vocabulary are named before they are looked up") {
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const Tokenizer tokenizer = Tokenizer::from_checkpoint(*checkpoint);
        const std::string text = "abcdefghijklmnopqrstuvwxyz";
        const auto windows = cut_windows(tokenizer, text, 2, 4, 288);
        CHECK(windows.size() == 2);
        const TokenId first = tokenizer.encode(text).front();
        REQUIRE(first > 0);
        const std::string words = "token 0: the tokenizer gave id " + std::to_string(first) + ", expected 0 … " +
                                  std::to_string(first - 1) + ": the model's vocabulary has " + std::to_string(first);
        CHECK_THROWS_WITH_AS(cut_windows(tokenizer, text, 2, 4, static_cast<size_t>(first)),
                             doctest::Contains(words.c_str()), Error);
    }

    TEST_CASE("the built-in text is long, valid, and repeats no paragraph") {
        const std::string_view text = builtin_calibration_text();
        CHECK(text.size() >= 150 * 1024);
        CHECK(is_utf8_text(text));
        std::set<std::string_view> paragraphs;
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = std::min(text.find("\n\n", begin), text.size());
            const std::string_view paragraph = text.substr(begin, end - begin);
            const bool label = paragraph.size() < 40;  // "### Question"
            if (!label) CHECK_MESSAGE(paragraphs.insert(paragraph).second, std::string(paragraph));
            begin = end + 2;
        }
        CHECK(paragraphs.size() > 200);
    }
}
