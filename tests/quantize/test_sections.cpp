// Before any work: what a finished file would be refused for is refused, what costs it chats only is told, and nothing
// that is read is replaced.
#include "core/base/log.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/sections.h"
#include "tests/metadata_only.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

// Quantizes onto a path that must be refused, and checks that what stands there stays.
void check_kept(const std::filesystem::path& source, const std::filesystem::path& output,
                const QuantizeOptions& options, const std::filesystem::path& kept) {
    const std::string before = file_bytes(kept);
    REQUIRE_FALSE(before.empty());
    ThreadPool pool(1);
    CHECK_THROWS_WITH_AS(quantize_model(source, output, options, {pool, kernel_table()}, {}),
                         doctest::Contains("expected another file than the source's own"), Error);
    CHECK(file_bytes(kept) == before);
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("a tokenizer larger than the embedding is refused before any work") {
        Altered model("tied");
        model.replace("tokenizer.json", "\"added_tokens\": [",
                      R"("added_tokens": [{"id": 288, "content": "<extra>", "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false, "special": true}, )");
        const Refusal refusal = refuse(model.folder.path());
        CHECK(refusal.says("a tokenizer of at most 288 tokens expected (rows of the embedding), found 289"));
        CHECK(refusal.says(model.folder.path().string()));
        CHECK(refusal.n_progress == 0);
    }

    TEST_CASE("sampling settings out of range are refused before any work") {
        Altered model("tied");
        model.write("generation_config.json", R"({"temperature": -1})");
        const Refusal refusal = refuse(model.folder.path());
        CHECK(refusal.says("generation_config.json"));
        CHECK(refusal.says("temperature"));
        CHECK(refusal.says("found -1"));
        CHECK(refusal.n_progress == 0);
    }

    TEST_CASE("a chat template that is no text is refused, not left out") {
        const test::MetadataOnly checkpoint(
            Checkpoint::Kind::gguf,
            parse_json(R"({"tokenizer.ggml.model":"gpt2","tokenizer.ggml.tokens":["a"],"tokenizer.ggml.merges":[],
                           "tokenizer.chat_template":3})",
                       "test"));
        HyperParams params;
        params.vocab = 1;
        CHECK_THROWS_WITH_AS(make_sections(checkpoint, params, Tokenizer::from_checkpoint(checkpoint)),
                             doctest::Contains("tokenizer.chat_template: expected a string, found an integer"),
                             FormatError);
    }

    TEST_CASE("a chat template that doesn't parse is told in progress, log and provenance; the file opens") {
        Altered model("tied");
        model.write("chat_template.jinja", "{% if messages %}\n{% nonsense %}");
        const TemporaryPath out("no_chat.gq");
        ThreadPool pool(1);
        std::string note, logged;
        set_log_sink([](LogLevel, const char* message, void* user) { *static_cast<std::string*>(user) += message; },
                     &logged);
        quantize_model(model.folder.path(), out.path(), tiny_options(4), {pool, kernel_table()},
                       [&](const QuantizeProgress& p) {
                           if (p.n_done == 0) note += p.note;
                           return false;
                       });
        set_log_sink(nullptr, nullptr);
        CHECK(note.find("chats can't be rendered") != std::string::npos);
        CHECK(note.find("nonsense") != std::string::npos);
        CHECK(logged.find(note) != std::string::npos);
        const auto loaded = LoadedModel::open(out.path(), true);
        CHECK(provenance_of(loaded->file).at("note", "provenance").as_string("note") == note);
    }

    TEST_CASE("neither output nor report replaces a file of the source, or the calibration text") {
        Altered model("tied");
        const std::filesystem::path folder = model.folder.path();
        for (const char* file : {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}) {
            CAPTURE(file);
            check_kept(folder, model.file(file), tiny_options(4), model.file(file));
            check_kept(model.file("model.safetensors"), folder / "." / file, tiny_options(4), model.file(file));
        }
        std::filesystem::create_symlink(model.file("config.json"), model.file("link"));
        check_kept(folder, model.file("link"), tiny_options(4), model.file("config.json"));
        const TemporaryPath out("kept.gq"), text("kept.txt");
        QuantizeOptions options = tiny_options(4);
        options.report = model.file("config.json");
        check_kept(folder, out.path(), options, model.file("config.json"));
        std::ofstream(text.path()) << "a text";
        options = tiny_options(4);
        options.calibration = text.path();
        check_kept(folder, text.path(), options, text.path());
        // A result of an earlier run, even in the source's folder, is no source.
        quantize_tiny("tied", model.file("out.gq"), tiny_options(4));
        ThreadPool pool(1);
        CHECK_NOTHROW(quantize_model(folder, model.file("out.gq"), tiny_options(4), {pool, kernel_table()}, {}));
    }
}
