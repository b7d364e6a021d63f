// The whole walk on a tiny model: same bytes at any thread count and on any kernels, losses that mean something, and damage that is named.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>

#include "core/kernels/cpu_features.h"
#include "formats/format_error.h"
#include "tests/tiny_model.h"

namespace {

using namespace gq;

// A copy of a tiny checkpoint with one file's text replaced.
struct Altered {
    TemporaryPath folder{"altered"};
    explicit Altered(const std::string& name) {
        std::filesystem::copy(golden_path("tiny_llama_" + name), folder.path());
    }
    void replace(const std::string& file, const std::string& from, const std::string& to) const {
        std::string text = file_bytes(folder.path() / file);
        const size_t at = text.find(from);
        REQUIRE_MESSAGE(at != std::string::npos, from);
        text.replace(at, from.size(), to);
        std::ofstream(folder.path() / file, std::ios::binary) << text;
    }
};

std::string refusal(const std::filesystem::path& source, const QuantizeOptions& options = tiny_options(4)) {
    const TemporaryPath out("refused.gq");
    ThreadPool pool(1);
    std::string message;
    try {
        quantize_model(source, out.path(), options, {pool, kernel_table()}, {});
    } catch (const Error& error) {
        message = error.what();
    } catch (const FormatError& error) {
        message = error.what();
    }
    CHECK_FALSE(std::filesystem::exists(out.path()));
    CHECK_FALSE(std::filesystem::exists(out.path().string() + ".partial"));
    return message;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("the same bytes at 1, 2 and 3 threads and on all kernels") {
        const TemporaryPath one("one.gq"), other("other.gq");
        for (const unsigned bits : {2U, 3U, 4U, 8U}) {
            quantize_tiny("untied", one.path(), tiny_options(bits), 1, "scalar");
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) {
                    MESSAGE("SKIPPED: this CPU can't run ", isa);
                    continue;
                }
                for (const size_t threads : {2, 3}) {
                    quantize_tiny("untied", other.path(), tiny_options(bits), threads, isa);
                    CAPTURE(bits);
                    CAPTURE(isa);
                    CHECK(file_bytes(one.path()) == file_bytes(other.path()));
                }
            }
        }
    }

    TEST_CASE("every option's combination writes a file that opens and verifies") {
        for (const unsigned bits : {2U, 3U, 4U, 8U, 16U})
            for (const size_t group : {size_t{0}, size_t{32}, size_t{64}, size_t{128}})
                for (const bool symmetric : {false, true})
                    for (const bool act_order : {false, true}) {
                        const TemporaryPath out("combination.gq");
                        QuantizeOptions options = tiny_options(bits);
                        options.group = group;
                        options.symmetric = symmetric;
                        options.act_order = act_order;
                        options.embed_bits = bits;
                        quantize_tiny("tied", out.path(), options);
                        CHECK(LoadedModel::open(out.path(), true)->model.params.hidden == 64);
                    }
    }

    TEST_CASE("progress counts every tensor, and GPTQ beats rounding on its own inputs") {
        const TemporaryPath out("progress.gq"), report("report.json");
        ThreadPool pool(1);
        QuantizeOptions options = tiny_options(3);
        options.report = report.path();
        size_t tensors = 0, solved = 0;
        double loss = 0, rounding = 0;
        quantize_model(golden_path("tiny_llama_sliding"), out.path(), options, {pool, kernel_table()},
                       [&](const QuantizeProgress& p) {
                           if (p.tensor.empty()) return false;
                           CHECK(p.n_done == ++tensors);
                           if (p.report) {
                               ++solved;
                               loss += p.report->true_loss;
                               rounding += p.report->rtn_loss;
                           }
                           return false;
                       });
        CHECK(tensors == 3 + 2 * 9);
        CHECK(solved == 2 * 7);
        CHECK(loss < rounding);
        const JsonValue json = parse_json(file_bytes(report.path()), "report");
        CHECK(json.at("tensors", "report").as_array("tensors").size() == tensors);
        CHECK(json.at("calibration", "report").at("name", "report").as_string("name") == "built-in");
    }

    TEST_CASE("the provenance in the file holds no time, host or thread count") {
        const TemporaryPath out("provenance.gq");
        quantize_tiny("tied", out.path(), tiny_options(4));
        const GqFile file(out.path());
        const GqSection* section = file.section("provenance");
        REQUIRE(section);
        const std::string text(reinterpret_cast<const char*>(section->bytes.data()), section->bytes.size());
        CHECK(text.find("\"source\"") != std::string::npos);
        CHECK(text.find("seconds") == std::string::npos);
        CHECK(text.find("thread") == std::string::npos);
    }

    TEST_CASE("damaged and unknown sources are named and leave no file") {
        CHECK(refusal("/nowhere").find("/nowhere") != std::string::npos);
        Altered arch("tied");
        arch.replace("config.json", "LlamaForCausalLM", "NoSuchForCausalLM");
        CHECK(refusal(arch.folder.path()).find("'NoSuchForCausalLM' is not supported; known: LlamaForCausalLM") !=
              std::string::npos);
        Altered shape("tied");
        shape.replace("config.json", "\"intermediate_size\": 112", "\"intermediate_size\": 113");
        CHECK(refusal(shape.folder.path()).find("shape (113, 64) expected, (112, 64) found") != std::string::npos);
        Altered missing("tied");
        missing.replace("model.safetensors", "layers.1.mlp.up_proj", "layers.1.mlp.xx_proj");
        CHECK(refusal(missing.folder.path()).find("'model.layers.1.mlp.up_proj.weight' expected, not found") !=
              std::string::npos);
        Altered heads("tied");
        heads.replace("config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3");
        CHECK(refusal(heads.folder.path()).find("n_heads 4 is no multiple of n_kv_heads 3") != std::string::npos);
        Altered rope("scaled_rope");
        rope.replace("config.json", "\"llama3\"", "\"yarn\"");
        CHECK(refusal(rope.folder.path()).find("RoPE scaling 'yarn' is not supported") != std::string::npos);
        Altered zero("tied");
        zero.replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0");
        CHECK(refusal(zero.folder.path()).find("n_layers expected in 1") != std::string::npos);
        Altered nan("tied");
        std::string weights = file_bytes(nan.folder.path() / "model.safetensors");
        weights[weights.size() - 1] = 0x7e;  // the last f16 becomes NaN
        std::ofstream(nan.folder.path() / "model.safetensors", std::ios::binary) << weights;
        CHECK(refusal(nan.folder.path()).find("finite weights expected, found nan") != std::string::npos);
    }

    TEST_CASE("options out of range and short calibration texts are refused") {
        QuantizeOptions options = tiny_options(5);
        CHECK(refusal(golden_path("tiny_llama_tied"), options).find("bits: expected 2, 3, 4, 8 or 16, found 5") !=
              std::string::npos);
        options = tiny_options(4);
        options.group = 48;
        CHECK(refusal(golden_path("tiny_llama_tied"), options).find("group: expected a multiple of 32") !=
              std::string::npos);
        const TemporaryPath text("short.txt");
        std::ofstream(text.path()) << "too short";
        options = tiny_options(4);
        options.calibration = text.path();
        CHECK(refusal(golden_path("tiny_llama_tied"), options).find("at least 132 tokens expected") !=
              std::string::npos);
        options.calibration = "/no/text";
        CHECK(refusal(golden_path("tiny_llama_tied"), options).find("/no/text") != std::string::npos);
    }

    TEST_CASE("a full disk is an error, and the old file stays") {
        const TemporaryPath out("full.gq");
        std::ofstream(out.path()) << "old";
        rlimit old_limit{};
        getrlimit(RLIMIT_FSIZE, &old_limit);
        const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{20000, old_limit.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        CHECK_THROWS_WITH_AS(quantize_tiny("tied", out.path(), tiny_options(4)), doctest::Contains("full.gq"),
                             FormatError);
        setrlimit(RLIMIT_FSIZE, &old_limit);
        std::signal(SIGXFSZ, old_handler);
        CHECK(file_bytes(out.path()) == "old");
        CHECK_FALSE(std::filesystem::exists(out.path().string() + ".partial"));
    }

    TEST_CASE("cancelling leaves nothing behind") {
        const TemporaryPath out("cancelled.gq");
        ThreadPool pool(1);
        CHECK_THROWS_WITH_AS(
            quantize_model(golden_path("tiny_llama_tied"), out.path(), tiny_options(4), {pool, kernel_table()},
                           [](const QuantizeProgress& p) { return p.n_done == 5; }),
            doctest::Contains("cancelled after 5"), Error);
        CHECK_FALSE(std::filesystem::exists(out.path()));
        CHECK_FALSE(std::filesystem::exists(out.path().string() + ".partial"));
    }
}
