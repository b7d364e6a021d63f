// Streaming decode: the pieces make up the whole, and none ends inside a character.
// In: ids one at a time. Out: checks of pieces.
// Must not know how ids were sampled.
#include "formats/utf8.h"
#include "tests/text/tokenizer_goldens.h"

using namespace gq;
using namespace gq::test;

TEST_SUITE("text") {
    TEST_CASE("each piece is well-formed, and a character comes with its last byte") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("llama2.json"));
        const std::vector<TokenId> ids = tokenizer.encode("a😀é", {.add_special = false});
        StreamDecoder stream(tokenizer);
        std::vector<std::string> pieces;
        for (const TokenId id : ids) pieces.push_back(stream.push(id));
        CHECK(stream.finish().empty());
        std::vector<std::string> shown_pieces;
        for (const std::string& piece : pieces) {
            if (!piece.empty()) shown_pieces.push_back(piece);
        }
        CHECK(shown_pieces == std::vector<std::string>{"a", "😀", "é"});
    }

    TEST_CASE("the space that starts a text is dropped once, later ones are kept") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("llama2.json"));
        const TokenId space = tokenizer.find_token("▁"), a = tokenizer.find_token("a");
        StreamDecoder stream(tokenizer);
        CHECK(stream.push(tokenizer.bos()).empty());
        CHECK(stream.push(space).empty());
        CHECK(stream.push(space) == " ");
        CHECK(stream.push(a) == "a");
        CHECK(stream.push(space) == " ");
        CHECK(stream.push(a) == "a");
        CHECK(stream.finish().empty());
    }

    TEST_CASE("bytes that are no character come out in the end") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("llama2.json"));
        const TokenId lead = tokenizer.find_token("<0xF0>"), a = tokenizer.find_token("a");
        StreamDecoder stream(tokenizer);
        CHECK(stream.push(a) == "a");
        CHECK(stream.push(lead).empty());
        CHECK(stream.push(a) == "\uFFFDa");
        CHECK(stream.push(lead).empty());
        CHECK(stream.finish() == "\uFFFD");
        CHECK(stream.push(a) == "a");  // after finish() a new text begins
    }

    TEST_CASE("a flood of lone bytes is passed on after a while") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("digits.json"));
        const TokenId lone = tokenizer.find_token("Ģ");  // the byte 0x80
        REQUIRE(lone >= 0);
        StreamDecoder stream(tokenizer);
        size_t bytes = 0;
        for (int i = 0; i < 1000; ++i) bytes += stream.push(lone).size();
        CHECK(bytes >= 3 * 900);
        bytes += stream.finish().size();
        CHECK(bytes == 3 * 1000);
    }

    TEST_CASE("special and unknown ids are passed over") {
        const Tokenizer tokenizer = from_tokenizer_json(golden("qwen2.json"));
        const TokenId start = tokenizer.find_token("<|im_start|>");
        StreamDecoder without(tokenizer), with(tokenizer, false);
        CHECK(without.push(start).empty());
        CHECK(with.push(start) == "<|im_start|>");
        CHECK(without.push(-1).empty());
        CHECK(without.push(1'000'000).empty());
        CHECK(without.finish().empty());
    }
}
