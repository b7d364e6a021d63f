// Gradients of a block against central differences of a forward pass in double; the tape's forward against forward.cpp.
#include "core/quantize/backward.h"

#include <algorithm>
#include <numeric>

#include "core/model/forward.h"
#include "core/quantize/calibrate.h"
#include "tests/quantize/block_test.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr size_t window = 110, n_windows = 2;  // attention takes 96 queries of 3 heads at a time: two blocks

struct BlockCase {
    const char* arch;
    size_t sliding;
};
constexpr BlockCase blocks[] = {{"llama", 0}, {"llama", 17}, {"opt", 0}, {"bloom", 0}};

struct Gradients {
    std::vector<std::vector<float>> roles;
    std::vector<float> input, output;
};

// One way forward and back, L = Σ c · output.
Gradients run_tape(const TinyBlock& block, const std::vector<float>& x, const std::vector<float>& c, Machine& machine) {
    Gradients result;
    std::vector<RoleGradients> gradients;
    for (size_t role = 0; role < block.weights.size(); ++role) result.roles.emplace_back(block.weights[role].size());
    const std::vector<RoleValues> values = block.values();
    for (size_t role = 0; role < block.weights.size(); ++role) {
        const ConstMatrixView& m = values[role].matrix;
        gradients.push_back(
            {.matrix = {result.roles[role].data(), m.rows, m.cols, m.cols}, .vector = result.roles[role].data()});
    }
    const SlotId residual = block.network.residual;
    Tape tape(block.network, block.steps(), residual, residual, window, n_windows, machine.compute);
    std::copy(x.begin(), x.end(), tape.input(n_windows).data);
    const ConstMatrixView y = tape.forward(values, n_windows);
    result.output.assign(y.data, y.data + x.size());
    std::copy(c.begin(), c.end(), tape.output_gradient().data);
    const ConstMatrixView dx = tape.backward(values, gradients);
    result.input.assign(dx.data, dx.data + x.size());
    return result;
}

double loss(const Doubles& y, const std::vector<float>& c) {
    return std::inner_product(y.begin(), y.end(), c.begin(), 0.0);
}

// The largest difference to the slope over evenly spread elements, relative to the largest slope, or to `least`.
template <class Set>
double worst_slope(const std::vector<float>& gradient, const std::vector<float>& at, double least, Set loss_with) {
    // Errors of h² and of 1e-16 / h times a loss of some hundred; a ReLU's kink between both ends would spoil all.
    constexpr double h = 1e-7;
    const size_t step = std::max<size_t>(1, at.size() / 13);
    double worst = 0, top = 0;
    for (size_t i = step / 2; i < at.size(); i += step) {
        const double x = static_cast<double>(at[i]);
        const double slope = (loss_with(i, x + h) - loss_with(i, x - h)) / (2 * h);
        worst = std::max(worst, std::abs(slope - static_cast<double>(gradient[i])));
        top = std::max(top, std::abs(slope));
    }
    REQUIRE(top > 0);
    return worst / std::max(top, least);
}

std::vector<float> forward_of_the_model(const TinyBlock& block, const std::vector<float>& x, Machine& machine) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(machine.compute);
    Forward forward(block.network, *backend, Precision::exact);
    SlotMemory slots(*backend, block.network, window);
    KvCache cache(*backend, float_kv_layer(block.params), div_up(window, kv_page_positions));
    cache.reserve(0, window);
    BlockWeights weights;
    for (const RoleValues& value : block.values()) {
        PackedMatrix m;
        m.codes = find_codes("f32");
        m.layout = PackedMatrix::Layout::row_major;
        m.rows = value.matrix.rows;
        m.cols = value.matrix.cols;
        m.code_bytes = reinterpret_cast<const std::byte*>(value.matrix.data);
        weights.roles.push_back({.matrix = m, .vector = value.vector});
    }
    std::vector<int32_t> positions(window);
    std::iota(positions.begin(), positions.end(), 0);
    const Segment segment{0, window, 0, cache.pages(0)};
    const RowSet rows{.positions = positions, .segments = {&segment, 1}, .geometry = &cache.geometry(), .layer = 0};
    std::vector<float> result;
    const Activations& residual = slots[block.network.residual];
    for (size_t w = 0; w < n_windows; ++w) {
        for (size_t r = 0; r < window; ++r)
            std::copy_n(&x[(w * window + r) * block.hidden()], block.hidden(), residual.row(r));
        forward.run(block.steps(), 0, block.steps().steps.size(), weights, rows, slots);
        for (size_t r = 0; r < window; ++r)
            result.insert(result.end(), residual.row(r), residual.row(r) + block.hidden());
    }
    return result;
}

}  // namespace

TEST_SUITE("backward") {
    TEST_CASE("gradients of a block are the slopes of its forward pass in double") {
        for (const BlockCase& made : blocks) {
            CAPTURE(made.arch);
            CAPTURE(made.sliding);
            const TinyBlock block(made.sliding, 5, made.arch);
            Machine machine(2);
            const size_t n = window * n_windows * block.hidden();
            const std::vector<float> x = random_floats(n, 7), c = random_floats(n, 9);
            const Gradients found = run_tape(block, x, c, machine);
            const DoubleForward reference(block, window);
            std::vector<Doubles> weights = block.doubles();
            const Doubles input(x.begin(), x.end());
            // fp32 sums of 220 rows: errors of some 1e-7 of the terms, which partly cancel.
            constexpr double tolerance = 2e-5;
            for (size_t role = 0; role < weights.size(); ++role) {
                CAPTURE(block.rows()[role].role);
                // Slopes are 5 to 200 here; but a key's bias moves all scores of a query alike, and has none.
                const double least = block.rows()[role].role == std::string_view("attn_k_bias") ? 5 : 0;
                CHECK(worst_slope(found.roles[role], block.weights[role], least, [&](size_t i, double value) {
                          const double old = std::exchange(weights[role][i], value);
                          const double l = loss(reference.run(weights, input), c);
                          weights[role][i] = old;
                          return l;
                      }) < tolerance);
            }
            CHECK(worst_slope(found.input, x, 0, [&](size_t i, double value) {
                      Doubles moved = input;
                      moved[i] = value;
                      return loss(reference.run(weights, moved), c);
                  }) < tolerance);
        }
    }

    TEST_CASE("the tape's forward pass is that of the model in exact precision") {
        for (const BlockCase& made : blocks) {
            CAPTURE(made.arch);
            const TinyBlock block(made.sliding, 11, made.arch);
            Machine machine(2);
            const size_t n = window * n_windows * block.hidden();
            const std::vector<float> x = random_floats(n, 13);
            const std::vector<float> found = run_tape(block, x, x, machine).output,
                                     expected = forward_of_the_model(block, x, machine);
            double worst = 0;
            for (size_t i = 0; i < n; ++i)
                worst = std::max(worst, static_cast<double>(std::abs(found[i] - expected[i])));
            CHECK(worst < 2e-5);  // values of about 5; softmax in one piece here, in blocks of 64 there
        }
    }

    TEST_CASE("gradients have the same bits at any number of threads") {
        const TinyBlock block(0, 3);
        Machine one(1), three(3);
        const size_t n = window * n_windows * block.hidden();
        const std::vector<float> x = random_floats(n, 1), c = random_floats(n, 2);
        const Gradients a = run_tape(block, x, c, one), b = run_tape(block, x, c, three);
        for (size_t role = 0; role < a.roles.size(); ++role) CHECK(a.roles[role] == b.roles[role]);
        CHECK(a.input == b.input);
        CHECK(a.output == b.output);
    }
}
