// Text that a model writes to be calibrated with: how much, the same again, cancelled; and as an option of the walk.
#include "core/quantize/own_text.h"

#include <doctest/doctest.h>

#include "core/quantize/float_model.h"
#include "tests/error_of.h"
#include "tests/tiny_model.h"

using namespace gq;
using namespace gq::test;

namespace {

struct Author {
    std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(golden_path("tiny_llama_untied"));
    Tokenizer tokenizer = Tokenizer::from_checkpoint(*checkpoint);
    OwnTextOptions options;

    Author() {
        options.n_tokens = 400;
        options.document_tokens = 48;
    }
    std::string write(size_t threads, std::span<const int32_t> stop_ids = {}) const {
        ThreadPool pool(threads);
        const Compute compute{pool, kernel_table()};
        const SourceModel source(*checkpoint);
        const RotatedSource as_it_is(source, compute, false);
        const FloatModel floats(source, as_it_is, compute);
        return write_own_text(floats.model(), tokenizer, stop_ids, compute, options);
    }
};

size_t n_documents(const std::string& text) {
    size_t n = 0;
    for (size_t at = text.find("\n\n"); at != std::string::npos; at = text.find("\n\n", at + 2)) ++n;
    return n;
}

}  // namespace

TEST_SUITE("calibrate") {
    TEST_CASE("a model writes as much as is asked for, the same at any number of threads") {
        Author author;
        const std::string text = author.write(1);
        CHECK(text == author.write(3));
        CHECK(author.tokenizer.encode(text).size() >= 400);
        author.options.sampler.temperature = 0;
        CHECK(author.write(2) != text);
        author.options.n_tokens = 4000;
        CHECK(n_documents(author.write(2)) >= 4000 / 48);  // of 48 tokens, more than stand side by side
    }

    TEST_CASE("documents end where the model stops, and writing where it is cancelled") {
        Author author;
        std::vector<int32_t> all;
        for (size_t id = 0; id < author.tokenizer.vocab_size(); ++id) all.push_back(static_cast<int32_t>(id));
        const std::string openings = author.write(1, all);  // every token stops: nothing but openings
        CHECK(author.tokenizer.encode(openings).size() >= 400);
        CHECK(n_documents(openings) >= 9);  // of 48 tokens at most, 400 in all
        author.options.between_steps = [] { fail(Status::cancelled, "enough"); };
        CHECK(error_of([&] { author.write(1); }).find("enough") != std::string::npos);
    }

    TEST_CASE("what a model wrote calibrates it, and is named") {
        QuantizeOptions options = tiny_options(4);
        options.own_text = true;
        const TemporaryPath out("own.gq"), again("again.gq");
        ThreadPool pool(2);
        for (const auto* path : {&out, &again})
            quantize_model(golden_path("tiny_llama_untied"), path->path(), options, {pool, kernel_table()}, {});
        CHECK(file_bytes(out.path()) == file_bytes(again.path()));
        CHECK(file_bytes(out.path()).find("\"name\":\"self\"") != std::string::npos);
    }
}
