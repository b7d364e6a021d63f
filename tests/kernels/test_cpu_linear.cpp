// How CpuBackend::linear cuts its work: rounds of expanded panels, passes of tokens, shares of several tasks. None of
// it changes a bit of what decoding, four rows at a time on one thread by the scalar kernels, gives. In: random
// matrices of shapes that reach every cut. Out: checks. Must not know models.
#include <doctest/doctest.h>

#include <cstring>

#include "core/kernels/activation_modes.h"
#include "core/kernels/compute.h"
#include "core/kernels/cpu_backend.h"
#include "core/kernels/cpu_features.h"
#include "tests/heap_bytes.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

struct Shape {
    const char* grid;
    size_t group, cols, n_rows;
    std::vector<size_t> panels;  // of each task
};

std::vector<PackedCase> matrices(const Shape& shape, Random& random) {
    std::vector<PackedCase> all;
    for (const size_t panels : shape.panels)
        all.push_back(integer_case(*find_codes("int3"), *find_grid(shape.grid), panels * panel_rows - 3, shape.cols,
                                   shape.group, random));
    return all;
}

// y of all tasks, rows_at_once of a call; the last task has a bias.
std::vector<Block> run(const Compute& compute, const std::vector<PackedCase>& weights, const Block& x, size_t n_rows,
                       size_t rows_at_once, Precision precision) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(compute);
    const std::vector<float> bias(weights.back().matrix.rows, 0.75f);
    std::vector<Block> y;
    for (const PackedCase& w : weights) y.emplace_back(n_rows, w.matrix.rows);
    for (size_t row = 0; row < n_rows; row += rows_at_once) {
        std::vector<LinearTask> tasks;
        for (size_t i = 0; i < weights.size(); ++i) {
            const Activations out{y[i].view.row(row), y[i].view.stride, y[i].view.width};
            tasks.push_back({&weights[i].matrix, i + 1 == weights.size() ? bias.data() : nullptr, out});
        }
        const Activations rows{x.view.row(row), x.view.stride, x.view.width};
        backend->linear(rows, std::min(rows_at_once, n_rows - row), tasks, precision);
    }
    return y;
}

void check_shape(const Shape& shape, Precision precision) {
    CAPTURE(std::string(shape.grid));
    CAPTURE(shape.cols);
    Random random(79);
    const std::vector<PackedCase> weights = matrices(shape, random);
    const Block x = random_block(shape.n_rows, shape.cols, random);
    ThreadPool one(1);
    const std::vector<Block> truth = run({one, kernel_table("scalar")}, weights, x, shape.n_rows, 4, precision);
    for (const char* isa : known_isas()) {
        if (!cpu_can_run(isa)) continue;
        for (const size_t threads : {1, 2, 3}) {
            CAPTURE(std::string(isa));
            CAPTURE(threads);
            ThreadPool pool(threads);
            const std::vector<Block> y =
                run({pool, kernel_table(isa)}, weights, x, shape.n_rows, shape.n_rows, precision);
            for (size_t i = 0; i < weights.size(); ++i) CHECK(same_bits(y[i], truth[i]));
        }
    }
}

// What a backend's heap grows by in two linear layers, one after the other, on one thread.
size_t bytes_taken(const Shape& first, const Shape& second, Precision precision) {
    Random random(80);
    const std::vector<PackedCase> weights[] = {matrices(first, random), matrices(second, random)};
    const size_t n_rows = second.n_rows, rows = weights[1][0].matrix.rows;
    const Block x = random_block(n_rows, second.cols, random), y(n_rows, rows);
    ThreadPool pool(1);
    const size_t before = heap_bytes();
    const std::unique_ptr<Backend> backend = make_cpu_backend({pool, kernel_table()});
    for (const std::vector<PackedCase>& w : weights) {
        const LinearTask task{&w[0].matrix, nullptr, y.view};
        backend->linear({x.view.data, x.view.stride, w[0].matrix.cols}, n_rows, {&task, 1}, precision);
    }
    return heap_bytes() - before;
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("a prefill in several rounds of expanded panels is what decoding gives") {
        for (const auto& [grid, group] : {std::pair{"zero_point", 128}, std::pair{"offset", 32}, std::pair{"k", 32}})
            check_shape({grid, static_cast<size_t>(group), 4096, 7, {5}}, Precision::int8_activations);
    }

    TEST_CASE("a prefill whose sums of groups take two passes is what decoding gives") {
        check_shape({"offset", 16, 4096, 505, {3}}, Precision::int8_activations);
    }

    // 1600 inputs: several chunks of them and a rest, and 6 panels as floats at once.
    TEST_CASE("rows that pass panels of floats in chunks give what a few of them give") {
        check_shape({"zero_point", 32, 1600, 37, {11, 5}}, Precision::exact);
    }

    TEST_CASE("threads that take over pieces of each other's tasks give what one alone does") {
        for (const ActivationMode& mode : activation_modes()) {
            if (mode.precision == Precision::exact) continue;
            for (const size_t n_rows : {3, 5}) check_shape({"offset", 32, 32, n_rows, {37, 92, 255}}, mode.precision);
        }
    }

    TEST_CASE("a backend keeps no more memory than it is said to") {
        if (heap_bytes() == 0) {
            MESSAGE("SKIPPED: the heap does not tell its size");
            return;
        }
        SUBCASE("in integers") {
            constexpr size_t n_rows = 512, wide = 6048;  // all buffers are below large_bytes
            const WorkSize work{.n_rows = n_rows, .n_threads = 1, .linear_in = wide, .attention = {}};
            const size_t needed = CpuBackend::prepared_bytes(work, wide) + CpuBackend::group_sums_bytes(work) +
                                  CpuBackend::linear_scratch_bytes(work);
            const size_t taken =
                bytes_taken({"offset", 16, 4064, n_rows, {1}}, {"offset", 16, wide, n_rows, {1}}, work.precision);
            CHECK(taken <= needed + 4096);       // and the backend itself
            CHECK(needed <= taken + taken / 8);  // float codes would take a pair of panels as floats
        }
        SUBCASE("in floats, where a narrow matrix has more panels at once than a wide one") {
            constexpr size_t n_rows = 8, wide = 5632;
            const WorkSize work{
                .n_rows = n_rows, .n_threads = 1, .linear_in = wide, .attention = {}, .precision = Precision::exact};
            const size_t needed = CpuBackend::linear_scratch_bytes(work);
            const size_t taken = bytes_taken({"zero_point", 32, 2048, n_rows, {8}},
                                             {"zero_point", 32, wide, n_rows, {8}}, work.precision);
            CHECK(taken <= needed + 4096);
            CHECK(needed <= taken + taken / 8);
        }
    }
}
