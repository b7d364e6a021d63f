// The solver's options end to end: each reaches the solver, is written down, and is refused by name where it is out of
// its range. In: the committed tiny models.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/quantize/calibrate.h"
#include "core/quantize/calibration_text.h"
#include "core/quantize/float_model.h"
#include "core/quantize/solver_options.h"
#include "formats/gq_file.h"
#include "formats/json.h"
#include "tests/quantize/walk_test.h"

using namespace gq;

namespace {

QuantizeOptions with(void (*change)(QuantizeOptions&)) {
    QuantizeOptions options = tiny_options(3);
    options.group = 32;
    change(options);
    return options;
}

// Each changes the result, so that one that is not passed on is seen.
struct Change {
    const char* name;
    void (*make)(QuantizeOptions&);
};
constexpr Change changes[] = {
    {"order", [](QuantizeOptions& o) { o.solver.order = Order::column; }},
    {"gar", [](QuantizeOptions& o) { o.solver.order = Order::gar; }},
    {"span", [](QuantizeOptions& o) { o.solver.search = GridSearch::span; }},
    {"joint", [](QuantizeOptions& o) { o.solver.search = GridSearch::joint; }},
    {"damping", [](QuantizeOptions& o) { o.solver.damping = 0.5; }},
    {"qep", [](QuantizeOptions& o) { o.solver.qep = 0.5; }},
    {"gptaq", [](QuantizeOptions& o) { o.solver.gptaq = 0.5; }},
    {"foem", [](QuantizeOptions& o) { o.solver.foem = 0.1; }},
    {"sweeps", [](QuantizeOptions& o) { o.solver.sweeps = 1; }},
    {"refit", [](QuantizeOptions& o) { o.solver.refit = true; }},
    {"all of a block at once", [](QuantizeOptions& o) { o.true_sequential = false; }},
    {"the same beside the float model",
     [](QuantizeOptions& o) {
         o.true_sequential = false;
         o.solver.qep = 0.5;
     }},
};

// Whether two files hold the same packed linears, whatever they say of their making.
bool same_weights(const std::filesystem::path& a, const std::filesystem::path& b) {
    const GqFile first(a), second(b);
    first.verify();
    for (const GqTensor& tensor : first.tensors()) {
        const GqTensor* other = second.find(tensor.name);
        REQUIRE(other);
        for (size_t i = 0; i < tensor.parts.size(); ++i)
            if (!std::ranges::equal(tensor.parts[i].bytes, other->parts[i].bytes)) return false;
    }
    return true;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("each solver option changes the file, and not with the number of threads") {
        const TemporaryPath usual("usual.gq"), one("one.gq"), three("three.gq");
        quantize_tiny("tied", usual.path(), with([](QuantizeOptions&) {}));
        for (const Change& change : changes) {
            CAPTURE(change.name);
            quantize_tiny("tied", one.path(), with(change.make), 1);
            quantize_tiny("tied", three.path(), with(change.make), 3);
            CHECK(file_bytes(one.path()) == file_bytes(three.path()));
            CHECK(!same_weights(one.path(), usual.path()));
        }
    }

    TEST_CASE("all of a block at once: every linear of it is solved for what the float block gives it") {
        const TemporaryPath out("at_once.gq");
        QuantizeOptions options = with([](QuantizeOptions& o) { o.true_sequential = false; });
        options.embed_bits = 16;  // f16, as the source has it: the stream begins as the float model's
        quantize_tiny("tied", out.path(), options);
        const auto checkpoint = open_checkpoint(golden_path("tiny_llama_tied"));
        const SourceModel source(*checkpoint);
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        const RotatedSource plain(source, compute, false);
        const FloatModel floats(source, plain, compute);
        const auto windows = cut_windows(Tokenizer::from_checkpoint(*checkpoint), builtin_calibration_text(),
                                         options.windows, options.window, source.params().vocab);
        Stream stream(source.network(), float_kv_layer(source.params()), compute, options.windows, options.window);
        stream.embed(floats.model().embedding, floats.model().outer, windows);
        const auto file = LoadedModel::open(out.path(), false);
        const StepList& steps = source.network().blocks[0];
        size_t done = 0;
        for (size_t stage = 0; stage < steps.stage_begin.size(); ++stage) {
            stream.run(steps, done, steps.stage_begin[stage], floats.model().blocks[0]);
            done = steps.stage_begin[stage];
            for (const size_t step : steps.stage_linears(stage)) {
                const RoleId role = steps.steps[step].weight;
                const PackedMatrix& packed = file->model.blocks[0].roles[role].matrix;
                const AlignedBuffer<float> w = source.read(source.arch().block_weights[role], 0);
                const Matrix h = stream.hessian(steps.steps[step].in[0]);
                GptqOptions o = options.solver;
                o.grid = {options.bits, options.group, find_grid(options.grid)};
                SolveReport report;
                const QuantizedMatrix q = gptq_solve(compute, w.data(), packed.rows, packed.cols, h, nullptr,
                                                     prepare_hessian(compute, h, o), o, report);
                std::vector<float> found(packed.rows * packed.cols);
                unpack_rows(packed, 0, packed.rows, found.data(), packed.cols);
                size_t n_others = 0;
                for (size_t i = 0; i < found.size(); ++i) n_others += found[i] != q.value(i / q.cols, i % q.cols);
                CAPTURE(role);
                CHECK(n_others == 0);
            }
        }
    }

    TEST_CASE("held-out windows: each tensor tells both losses, and the damping is one of the candidates") {
        const TemporaryPath out("held_out.gq"), report("held_out.json");
        QuantizeOptions options = with([](QuantizeOptions& o) {
            o.held_out = 2;
            o.adaptive_damping = true;
            o.solver.qep = 0.5;
        });
        options.report = report.path();
        quantize_tiny("tied", out.path(), options, 2);
        const JsonValue json = parse_json(file_bytes(report.path()), "report");
        size_t n_solved = 0;
        for (const JsonValue& tensor : json.at("tensors", "report").as_array("tensors")) {
            if (!tensor.find("loss")) continue;
            ++n_solved;
            CHECK(tensor.find("held_out_loss"));
            const double kept = tensor.at("held_out_loss", "report").as_number("held_out_loss"),
                         other = tensor.at("held_out_rtn_loss", "report").as_number("held_out_rtn_loss");
            CHECK((kept <= other) == !tensor.find("note"));
            const double damping = tensor.at("damping", "report").as_number("damping");
            CHECK((damping == 0.003 || damping == 0.01 || damping == 0.03 || damping == 0.1));
        }
        CHECK(n_solved == 14);
    }

    TEST_CASE("windows of each kind are spread over the text: calibration, held out, judging") {
        std::vector<std::vector<int32_t>> windows;
        for (int32_t i = 0; i < 10; ++i) windows.push_back({i});
        const std::vector<std::vector<int32_t>> held{{0}, {1}, {2}, {4}, {5}, {7}, {8}, {3}, {6}, {9}};
        CHECK(by_kind(windows, {.calibration = 7, .held_out = 3}) == held);
        CHECK(by_kind(windows, {.calibration = 7, .judging = 3}) == held);
        CHECK(by_kind(windows, {.calibration = 10}) == windows);
        const std::vector<std::vector<int32_t>> both{{0}, {1}, {2}, {5}, {6}, {7}, {3}, {8}, {4}, {9}};
        CHECK(by_kind(windows, {.calibration = 6, .held_out = 2, .judging = 2}) == both);
    }

    TEST_CASE("solver options out of their range are named before any work") {
        const auto refused = [](void (*change)(QuantizeOptions&), const char* words) {
            const Refusal refusal = refuse(golden_path("tiny_llama_tied"), with(change));
            CAPTURE(refusal.message);
            CHECK(refusal.says(words));
            CHECK(refusal.n_progress == 0);
        };
        refused([](QuantizeOptions& o) { o.solver.damping = 2; }, "damping: expected a share");
        refused([](QuantizeOptions& o) { o.solver.qep = -0.5; }, "qep: expected 0 to 1, found -0.5");
        refused([](QuantizeOptions& o) { o.solver.foem = 1; }, "foem: expected 0 to below 1, found 1");
        refused([](QuantizeOptions& o) { o.solver.qep = o.solver.gptaq = 0.5; }, "expected one of them");
        refused([](QuantizeOptions& o) { o.adaptive_damping = true; }, "adaptive damping: expected held-out windows");
        refused(
            [](QuantizeOptions& o) {
                o.solver.order = Order::column;
                o.solver.refit = true;
            },
            "refit: expected order act or gar, found column");
        CHECK_THROWS_WITH_AS(order_of("rows"), "order: expected column, act, gar, found 'rows'", Error);
        CHECK_THROWS_WITH_AS(grid_search_of(""), "grid search: expected span, clip, joint, found ''", Error);
        for (const Order order : {Order::column, Order::act, Order::gar}) CHECK(order_of(name_of(order)) == order);
        for (const GridSearch search : {GridSearch::span, GridSearch::clip, GridSearch::joint})
            CHECK(grid_search_of(name_of(search)) == search);
    }
}
