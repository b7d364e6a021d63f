// Sampling settings from files: kept where they are within their range, refused by key, range and value where not.
// In: JSON. Out: checks of settings and messages. Must not sample.
#include <doctest/doctest.h>

#include "core/base/status.h"
#include "core/model/generation_settings.h"
#include "formats/format_error.h"
#include "tests/metadata_only.h"

namespace {

using gq::GenerationSettings;

GenerationSettings read(const std::string& json) {
    return GenerationSettings::from_json(json, "G");
}

}  // namespace

TEST_SUITE("model") {
    TEST_CASE("settings survive the way through JSON") {
        GenerationSettings settings;
        settings.stop_ids = {2, 2147483647};
        settings.sampler = {.temperature = 0.25f, .top_k = 2147483647, .top_p = 0.5f, .min_p = 0};
        const GenerationSettings back = read(settings.to_json());
        CHECK(back.stop_ids == settings.stop_ids);
        CHECK(back.sampler.temperature == 0.25f);
        CHECK(back.sampler.top_k == 2147483647);
        CHECK(back.sampler.top_p == 0.5f);
        CHECK(back.sampler.min_p == 0);
        CHECK(back.sampler.repetition_penalty == 1);
    }

    TEST_CASE("numbers that no field could hold are refused before they are converted") {
        const auto refuse = [](const char* members, const char* words) {
            CHECK_THROWS_WITH_AS(read(std::string(R"({"stop_ids":[],)") + members + "}"), doctest::Contains(words),
                                 gq::Error);
        };
        refuse(R"("top_k":1e300)", "G: top_k: expected a whole number of 0 … 2147483647, found 1e+300");
        refuse(R"("top_k":2147483648)", "top_k");
        refuse(R"("top_k":-1)", "found -1");
        refuse(R"("top_k":1.5)", "found 1.5");
        refuse(R"("temperature":1e300)", "G: temperature: expected 0 … 100, found 1e+300");
        refuse(R"("top_p":1e-300)", "G: top_p: expected above 0, at most 1, found 1e-300");  // 0 as a float
        refuse(R"("min_p":2)", "min_p");
        refuse(R"("repetition_penalty":0)", "repetition_penalty");
    }

    TEST_CASE("stop ids are whole numbers of 32 bits") {
        CHECK_THROWS_WITH_AS(read(R"({"stop_ids":[4294967298]})"),
                             doctest::Contains("G: stop_ids: expected ids of 0 … 2147483647, found 4294967298"),
                             gq::Error);
        CHECK_THROWS_WITH_AS(read(R"({"stop_ids":[-1]})"), doctest::Contains("found -1"), gq::Error);
        CHECK_THROWS_WITH_AS(read(R"({"stop_ids":["2"]})"), doctest::Contains("G: stop_ids"), gq::FormatError);
        CHECK_THROWS_WITH_AS(read(R"({"top_k":1})"), doctest::Contains("stop_ids"), gq::FormatError);
    }

    TEST_CASE("stop ids of the wrong kind are refused by file and key") {
        using gq::Checkpoint;
        const auto tokenizer = gq::Tokenizer::from_checkpoint(gq::test::MetadataOnly(
            Checkpoint::Kind::gguf,
            gq::parse_json(
                R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a"],"tokenizer.ggml.merges":[]})",
                "test")));
        const auto read_ids = [&](Checkpoint::Kind kind, const char* json) {
            const gq::test::MetadataOnly checkpoint(kind, gq::parse_json(json, "test"));
            return GenerationSettings::from_checkpoint(checkpoint, tokenizer);
        };
        CHECK_THROWS_WITH_AS(read_ids(Checkpoint::Kind::hugging_face, R"({"config":{"eos_token_id":[0,"b"]}})"),
                             doctest::Contains("config.json: eos_token_id: expected an integer"), gq::FormatError);
        CHECK_THROWS_WITH_AS(read_ids(Checkpoint::Kind::gguf, R"({"tokenizer.ggml.eot_token_id":"b"})"),
                             doctest::Contains("tokenizer.ggml.eot_token_id: expected an integer"), gq::FormatError);
    }
}
