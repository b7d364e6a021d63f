// Sensitivities and targets on the tiny models: what is measured has the order that it must have, and files are as long
// as was asked for.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/quantize/choose.h"
#include "formats/json.h"
#include "tests/error_of.h"
#include "tests/near.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

QuantizeOptions target_options() {
    QuantizeOptions options = tiny_options(chosen_bits);
    options.group = chosen_group;
    options.embed_bits = 8;
    return options;
}

double linear_bits(const GqFile& file) {
    double bytes = 0, weights = 0;
    for (const GqTensor& tensor : file.tensors()) {
        if (tensor.grid.empty() || !tensor.name.starts_with("blocks")) continue;
        for (const GqPart& part : tensor.parts) bytes += static_cast<double>(part.bytes.size());
        weights += static_cast<double>(tensor.rows * tensor.cols);
    }
    return 8 * bytes / weights;
}

size_t n_widths(const GqFile& file) {
    std::vector<std::string> codes;
    for (const GqTensor& tensor : file.tensors())
        if (!tensor.grid.empty() && std::find(codes.begin(), codes.end(), tensor.codes) == codes.end())
            codes.push_back(tensor.codes);
    return codes.size();
}

// A tiny model, and a table of it at some widths.
struct Measured {
    std::unique_ptr<Checkpoint> checkpoint;
    ThreadPool pool{2};
    Compute compute{pool, kernel_table("")};
    SourceModel source;
    RotatedSource rotated;
    FloatModel floats;
    std::vector<std::vector<int32_t>> windows;

    explicit Measured(const std::string& name)
        : checkpoint(open_checkpoint(golden_path("tiny_llama_" + name))),
          source(*checkpoint),
          rotated(source, compute, false),
          floats(source, rotated, compute) {
        for (int w = 0; w < 4; ++w) {
            windows.emplace_back();
            for (int i = 0; i < 64; ++i) windows.back().push_back((w * 37 + i * i) % 200);
        }
    }
};

}  // namespace

TEST_SUITE_BEGIN("quantize");

TEST_CASE("KL probe: nothing changed is nothing; a change is the same seen from its layer and from the start") {
    const Measured m("untied");
    const Model& model = m.floats.model();
    KlProbe probe(model, m.compute, m.windows);
    CHECK(probe.n_scored() == 4 * 32);
    CHECK(probe.float_loss() > 0);
    // The same arithmetic gives the same bits.
    CHECK(probe.of_block(model.blocks[0]).kl == 0);
    CHECK(probe.of_outer(model.embedding, model.head).kl == 0);
    const Divergence other_head = probe.of_outer(model.embedding, model.embedding);
    CHECK(other_head.kl > 0.1);  // random weights for other random ones: a KL of about 1

    BlockWeights swapped = model.blocks[1];  // as of another layer: shapes are the same
    swapped.roles = model.blocks[0].roles;
    probe.advance();
    const Divergence from_layer = probe.of_block(swapped);
    CHECK(from_layer.kl > 0.1);  // likewise
    Model changed = model;
    changed.blocks[1] = swapped;
    // The reference of this one is the changed model: KL is not symmetric, the loss is.
    KlProbe other(changed, m.compute, m.windows);
    // The same bits of logits: what is left is a difference of sums in double.
    CHECK(other.float_loss() - probe.float_loss() == test::near(from_layer.loss, 1e-12));

    const std::vector<float> nothing(model.params.hidden, std::numeric_limits<float>::quiet_NaN());
    for (Weight& weight : swapped.roles)
        if (weight.vector) weight.vector = nothing.data();
    test::check_contains(test::error_of([&] { probe.of_block(swapped); }),
                         "KL: finite logits of the changed model expected");
    changed.blocks[1] = swapped;
    test::check_contains(test::error_of([&] { const KlProbe broken(changed, m.compute, m.windows); }),
                         "KL: finite logits of the float model expected");
}

TEST_CASE("sensitivity: losses fall with the width as theory says, and effects with them") {
    const Measured m("untied");
    SensitivityRequest request;
    for (const unsigned bits : {3u, 4u, 8u}) {
        request.effects.push_back({bits, 32, find_grid("zero_point")});
        request.choices.push_back(request.effects.back());
        request.outer.push_back(request.effects.back());
    }
    size_t n_called = 0;
    const SensitivityTable table = measure_sensitivity(m.floats, m.rotated, m.windows, m.compute, request,
                                                       [&](const Sensitivity&, size_t n, size_t total) {
                                                           CHECK(n == ++n_called);
                                                           CHECK(total == 2 + 14);
                                                       });
    CHECK(n_called == 2 + 14);
    REQUIRE(table.outer.size() == 2);
    REQUIRE(table.linears.size() == 14);
    for (const Sensitivity& row : table.linears) {
        CAPTURE(row.name);
        for (size_t i = 0; i < 3; ++i) {
            // Clipping is off in these solves: the formula assumes errors that are uniform, good to a fifth here.
            CHECK(row.losses[i].predicted / row.losses[i].measured == test::near(1, 0.2));
            CHECK(row.losses[i].measured < row.effects[i].rounding);
        }
        // Steps of 1/7 and 1/15 of a range: squares (15/7)^2 = 4.6 apart, good to a tenth.
        CHECK(row.losses[0].measured > 4.1 * row.losses[1].measured);
        CHECK(row.effects[0].effect.kl > row.effects[1].effect.kl);
        CHECK(row.effects[1].effect.kl > row.effects[2].effect.kl);
        CHECK(row.kl_of(row.effects[0].rounding) ==
              test::near(row.effects[0].effect.kl, 1e-15));  // a product, a quotient
    }
}

TEST_CASE("sensitivity: a narrow head costs what it costs solved, an embedding of its own what it costs rounded") {
    const Measured m("untied");
    SensitivityRequest request;
    for (const unsigned bits : {3u, 8u}) request.outer.push_back({bits, 32, find_grid("zero_point")});
    const auto measured = [&](bool solves_head) {
        request.solves_head = solves_head;
        return measure_sensitivity(m.floats, m.rotated, m.windows, m.compute, request, {}).outer;
    };
    const auto solved = measured(true), rounded = measured(false);
    // Of random weights, whose inputs hardly depend on each other, a solve gains least; none has the ratio 1.
    CHECK(solved[1].effects[0].effect.kl < 0.8 * rounded[1].effects[0].effect.kl);
    CHECK(solved[1].effects[1].effect.kl == rounded[1].effects[1].effect.kl);
    for (size_t i = 0; i < 2; ++i) CHECK(solved[0].effects[i].effect.kl == rounded[0].effects[i].effect.kl);
}

TEST_CASE("a target in bytes: the file is at most that, and at least 99 % of it; the same at any number of threads") {
    const TemporaryPath out("target.gq"), other("target_threads.gq");
    QuantizeOptions options = target_options();
    size_t most_widths = 0;
    for (const auto& model : {std::pair{"untied", 106000u}, std::pair{"opt", 90000u}, std::pair{"bloom", 150000u},
                              std::pair{"tied", 54000u}}) {
        const char* name = model.first;  // Clang 14 captures no structured binding
        const unsigned least = model.second;
        CAPTURE(name);
        for (const unsigned embed_bits : {8u, chosen_bits}) {
            for (const unsigned more : {0u, 7000u, 26000u}) {
                const uint64_t target = least + more;
                CAPTURE(target);
                options.target_bytes = target;
                options.embed_bits = embed_bits;
                quantize_tiny(name, out.path(), options, 1);
                const GqFile file(out.path());
                most_widths = std::max(most_widths, n_widths(file));
                CHECK(file.file_bytes() <= target);
                CHECK(static_cast<double>(file.file_bytes()) > 0.99 * static_cast<double>(target));
            }
        }
    }
    CHECK(most_widths >= 2);
    quantize_tiny("tied", other.path(), options, 3);
    CHECK(file_bytes(other.path()) == file_bytes(out.path()));
}

TEST_CASE("a target leaves no room for notes on most tensors: the report beside the file has them") {
    const TemporaryPath out("notes.gq"), report("notes.json");
    QuantizeOptions options = target_options();
    options.target_bytes = 113000;
    options.windows = 1;
    options.window = 16;         // far below what a Hessian of 64 inputs needs …
    options.solver.damping = 0;  // … so that each one's damping has to be raised
    options.report = report.path();
    quantize_tiny("untied", out.path(), options);
    const GqFile file(out.path());
    CHECK(file.file_bytes() <= options.target_bytes);
    const auto n_notes = [](const JsonValue& json) {
        size_t notes = 0, retries = 0;
        for (const JsonValue& tensor : json.at("tensors", "report").as_array("tensors")) {
            notes += tensor.find("note") != nullptr;
            retries += tensor.find("damping_retries") != nullptr;
        }
        CHECK(notes == retries);
        CHECK(json.at("note", "report").as_string("note").starts_with("calibrated on 16 tokens, fewer than the 96 "));
        return notes;
    };
    CHECK(n_notes(provenance_of(file)) == 0);
    CHECK(n_notes(parse_json(file_bytes(report.path()), "report")) == 14);
}

TEST_CASE("a target in bits a weight: the linears keep it, whatever the embedding takes") {
    const TemporaryPath out("bpw.gq"), report("bpw.json");
    QuantizeOptions options = target_options();
    options.report = report.path();
    options.target_bpw = 1e300;
    quantize_tiny("untied", out.path(), options);
    CHECK(linear_bits(GqFile(out.path())) > 8);  // the widest choice
    for (const double bpw : {3.3, 4.0, 5.5}) {
        CAPTURE(bpw);
        options.target_bpw = bpw;
        quantize_tiny("untied", out.path(), options);
        const GqFile file(out.path());
        CHECK(linear_bits(file) <= bpw);
        CHECK(linear_bits(file) > 0.97 * bpw);  // one of 14 matrices is a large step
        CHECK(file.find("embedding")->codes == "int8");
    }
    const JsonValue json = parse_json(file_bytes(report.path()), "report");
    CHECK(json.at("options", "report").at("target_bpw", "options").as_number("target_bpw") == 5.5);
    size_t n = 0;
    for (const JsonValue& tensor : json.at("tensors", "report").as_array("tensors")) {
        if (!tensor.find("loss")) continue;
        CHECK(tensor.at("group", "tensor").as_integer("group") >= 32);
        CHECK(tensor.at("grid", "tensor").as_string("grid") == "zero_point");
        CHECK(tensor.at("expected_kl", "tensor").as_number("expected_kl") > 0);
        ++n;
    }
    CHECK(n == 14);
}

TEST_CASE("a target chooses grids where none is named: offsets and k for narrow matrices, where they gain most") {
    QuantizeOptions options = target_options();
    options.target_bpw = 4.0;
    const auto choices_of = [&](const char* grid) {
        std::map<unsigned, size_t> n;  // by width
        for (const GridOptions& choice : target_request(options).choices)
            n[choice.bits] += choice.grid->name == std::string(grid);
        return n;
    };
    for (const char* grid : {"offset", "k"})
        for (const auto& [bits, n] : choices_of(grid)) CHECK(n == 0);
    options.grid = chosen_grid;
    for (const auto& [bits, n] : choices_of("offset")) CHECK(n == (bits <= 3 ? 3 : 0));
    for (const auto& [bits, n] : choices_of("k")) CHECK(n == (bits <= 4 ? 1 : 0));

    const TemporaryPath out("grids.gq");
    quantize_tiny("untied", out.path(), options);
    const GqFile file(out.path());
    size_t n_offsets = 0;
    for (const GqTensor& tensor : file.tensors()) {
        CAPTURE(tensor.name);
        n_offsets += tensor.grid == "offset";
        if (tensor.grid == "offset") CHECK((tensor.codes == "int2" || tensor.codes == "int3"));
    }
    CHECK(n_offsets > 0);
    CHECK(file.find("embedding")->grid == "zero_point");
    CHECK(linear_bits(file) <= 4.0);
    options.target_bpw = 0;
    options.bits = 4;
    CHECK(refuse(golden_path("tiny_llama_untied"), options).says("grid: expected "));
}

TEST_CASE("targets that can't be met or contradict other options are refused") {
    const std::filesystem::path source = golden_path("tiny_llama_untied");
    QuantizeOptions options = target_options();
    options.target_bytes = 20000;
    CHECK(refuse(source, options).says("target: at least "));
    CHECK(refuse(source, options).says("found 20000"));
    CHECK(refuse(source, options).n_progress == 0);  // before anything is measured
    options.target_bytes = 0;
    options.target_bpw = 1.5;
    CHECK(refuse(source, options).says("target: at least 3.0864 bits a weight expected"));
    options.target_bytes = 100000;
    CHECK(refuse(source, options).says("found both"));
    options.target_bytes = 0;
    options.bits = 4;
    CHECK(refuse(source, options).says("bits: expected 0 with a target"));
    options.bits = chosen_bits;
    options.embed_bits = chosen_bits;
    CHECK(refuse(source, options).says("embed bits"));
    options.embed_bits = 8;
    options.method = Method::rtn;
    CHECK(refuse(source, options).says("gptq"));
    options.method = Method::gptq;
    options.solver.order = Order::gar;
    CHECK(refuse(source, options).says("group: expected one for all"));
    options.target_bpw = std::nan("");
    CHECK(refuse(source, options).says("target: bits a weight above 0"));
}

TEST_CASE("measure_model: every matrix with its class, layer and widths") {
    const TemporaryPath report("sensitivity.json");
    QuantizeOptions options = tiny_options(4);
    options.report = report.path();
    ThreadPool pool(1);
    size_t n_lines = 0;
    measure_model(golden_path("tiny_llama_tied"), options, {pool, kernel_table("")}, [&](const QuantizeProgress& p) {
        n_lines += !p.note.empty();
        return false;
    });
    const JsonValue json = parse_json(file_bytes(report.path()), "report");
    const JsonValue::Array& tensors = json.at("tensors", "report").as_array("tensors");
    const JsonValue::Array& classes = json.at("classes", "report").as_array("classes");
    CHECK(tensors.size() == 1 + 14);
    CHECK(classes.size() == (1 + 7) * 4);
    const JsonValue::Array& layers = json.at("layers", "report").as_array("layers");
    CHECK(layers.size() == 2 * 4);
    CHECK(n_lines == tensors.size() + classes.size() + layers.size());
    for (const JsonValue& tensor : tensors) {
        const JsonValue::Array& widths = tensor.at("widths", "tensor").as_array("widths");
        REQUIRE(widths.size() == 4);
        CHECK(widths[0].at("kl", "width").as_number("kl") > widths[3].at("kl", "width").as_number("kl"));
    }
    CHECK(tensors[14].at("layer", "tensor").as_integer("layer") == 1);
    // Layer 0 at 2 bits: means over its seven matrices, behind the embedding.
    for (const char* key : {"predicted", "measured", "kl", "ppl_change"}) {
        CAPTURE(key);
        double sum = 0;
        for (size_t i = 1; i <= 7; ++i)
            sum += tensors[i].at("widths", "tensor").as_array("widths")[0].at(key, "width").as_number(key);
        CHECK(layers[0].at(key, "layer").as_number(key) == sum / 7);
    }
    // A class goes by the change that the KL leads one to expect: the float model's perplexity times e^KL - 1.
    for (const JsonValue& entry : classes) {
        const double change = entry.at("expected_ppl_change", "class").as_number("change");
        CHECK(change >= json.at("float_ppl", "report").as_number("ppl") * entry.at("kl", "class").as_number("kl"));
        const std::string expected = change <= 0.1 ? "I" : change <= 0.5 ? "II" : "III";
        CHECK(entry.at("zeroquant_v2", "class").as_string("class") == expected);
        CHECK((entry.find("measured") != nullptr) == (entry.at("class", "class").as_string("name") != "embedding"));
    }
}

TEST_SUITE_END();
