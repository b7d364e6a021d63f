// The compact form: what goes in comes out, and no altered byte does harm.
// In: specs, their bytes, the same with one byte altered. Out: checks of specs and messages.
// Must not know what a spec means.
#include "tests/text/tokenizer_goldens.h"

using namespace gq;
using namespace gq::test;

namespace {

std::vector<std::byte> bytes_of(const std::string& name) {
    return from_tokenizer_json(golden(name + ".json")).to_bytes();
}

std::vector<std::byte> raw(std::string_view text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("the compact form of a tokenizer read from it is the same bytes") {
        for (const char* name : {"llama3", "llama2", "parts"}) {
            const std::vector<std::byte> bytes = bytes_of(name);
            CHECK(Tokenizer::from_bytes(bytes).to_bytes() == bytes);
        }
        const std::vector<std::byte> scored = from_gguf(golden("spm.json")).to_bytes();
        CHECK(Tokenizer::from_bytes(scored).to_bytes() == scored);
    }

    TEST_CASE("ids, special tokens and sizes survive") {
        const Tokenizer before = from_gguf(golden("spm.json")), after = Tokenizer::from_bytes(before.to_bytes());
        CHECK(after.vocab_size() == before.vocab_size());
        CHECK(after.bos() == before.bos());
        CHECK(after.eos() == before.eos());
        CHECK(after.adds_bos() == before.adds_bos());
        for (TokenId id = 0; id < static_cast<TokenId>(before.vocab_size()); ++id) {
            REQUIRE(after.token_text(id) == before.token_text(id));
            REQUIRE(after.is_special(id) == before.is_special(id));
        }
    }

    TEST_CASE("every cut of the bytes is refused") {
        const std::vector<std::byte> bytes = bytes_of("llama2");
        for (size_t n = 0; n < bytes.size(); n += n < 64 ? 1 : 37) {
            check_contains(error_of([&] { Tokenizer::from_bytes(std::span(bytes).first(n)); }),
                           "malformed: tokenizer section: ");
        }
        std::vector<std::byte> longer = bytes;
        longer.push_back(std::byte{0});
        check_contains(error_of([&] { Tokenizer::from_bytes(longer); }), "end: 1 found");
    }

    TEST_CASE("altered bytes give an error or a tokenizer that works") {
        const std::vector<std::byte> bytes = bytes_of("digits");
        for (size_t at = 0; at < bytes.size(); at += at < 64 ? 1 : 13) {
            for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
                std::vector<std::byte> altered = bytes;
                altered[at] ^= static_cast<std::byte>(flip);
                const std::string error = error_of([&] {
                    const Tokenizer tokenizer = Tokenizer::from_bytes(altered);
                    tokenizer.decode(tokenizer.encode("It's 12 <|im_start|> é"));
                });
                CHECK(!error.starts_with("io: "));
            }
        }
    }

    TEST_CASE("counts are held against the bytes that are left") {
        struct Case {
            std::string_view bytes;
            const char* named;
        };
        const Case cases[] = {
            {std::string_view("gqtk\x02", 5), "version 1 expected"},
            {std::string_view("gqtk\x01\xFF\xFF\xFF\xFF\x0F", 10), "number of tokens: 4294967295 found"},
            {std::string_view("gqtk\x01\xFF\xFF\xFF\xFF\xFF\x0F", 11), "at most 5 bytes expected"},
            {std::string_view("gqtk\x01\x01\x05"
                              "ab",
                              9),
             "token: 5 found"},
            {std::string_view("gqtk\x01\x01\x01"
                              "a\x03\x00\x00",
                              11),
             "number of merges: 3 found"},
            {std::string_view("gqtk\x01\x01\x01"
                              "a\x01\x00\x01",
                              11),
             "right token of a merge: 1 found"},
            {std::string_view("gqtk\x01\x01\x01"
                              "a\x00\x02\x00\x00\x00\x00",
                              14),
             "number of scores: 2 found"},
            {std::string_view("gqtk\x01\x01\x01"
                              "a\x00\x00\x09{}",
                              13),
             "settings: 9 found"},
        };
        for (const Case& c : cases) {
            check_contains(error_of([&] { Tokenizer::from_bytes(raw(c.bytes)); }),
                           std::string("malformed: tokenizer section: "));
            check_contains(error_of([&] { Tokenizer::from_bytes(raw(c.bytes)); }), c.named);
        }
        CHECK(error_of([] {
                  Tokenizer::from_bytes(
                      raw(std::string_view("gqtk\x01\x01\x01"
                                           "a\x00\x00\x02{}",
                                           13)));
              }) == "no error");
    }
}
