// Corrections of low rank in CpuBackend::linear: the contract of backend.h bit by bit, whatever the threads, the
// kernels and the rows of a call; and what they mean, in double. In: random matrices. Out: checks. Must not know
// models.
#include <doctest/doctest.h>

#include <cstring>

#include "core/kernels/activation_modes.h"
#include "core/kernels/compute.h"
#include "core/kernels/cpu_features.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

// Three weights over one input, as q, k, v: two with a low rank of different size, one without.
constexpr size_t inputs = 100, n_tasks = 3;
constexpr size_t outputs[n_tasks] = {40, 17, 200}, ranks[n_tasks] = {16, 0, 48};

struct Layer {
    PackedCase w[n_tasks], u[n_tasks], v[n_tasks];
    LowRank low_rank[n_tasks];
    std::vector<float> bias;

    explicit Layer(Random& random) : bias(outputs[2]) {
        const Codes &narrow = *find_codes("int3"), &wide = *find_codes("int8");
        const Grid &zero_point = *find_grid("zero_point"), &symmetric = *find_grid("symmetric");
        for (float& b : bias) b = random.uniform(-1, 1);
        for (size_t i = 0; i < n_tasks; ++i) {
            w[i] = integer_case(narrow, zero_point, outputs[i], inputs, 64, random);
            if (ranks[i] == 0) continue;
            v[i] = integer_case(wide, symmetric, ranks[i], inputs, 0, random);
            u[i] = integer_case(wide, symmetric, outputs[i], ranks[i], 0, random);
            low_rank[i] = {u[i].matrix, v[i].matrix};
        }
    }
    const float* bias_of(size_t task) const { return task == 2 ? bias.data() : nullptr; }
};

std::vector<Block> run(const Compute& compute, const Layer& layer, const Block& x, size_t n_rows, size_t first_row,
                       Precision precision) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(compute);
    std::vector<Block> y;
    for (const size_t width : outputs) y.emplace_back(n_rows, width);
    std::vector<LinearTask> tasks;
    for (size_t i = 0; i < n_tasks; ++i)
        tasks.push_back({&layer.w[i].matrix, layer.bias_of(i), y[i].view, &layer.low_rank[i]});
    const Activations rows{x.view.row(first_row), x.view.stride, x.view.width};
    backend->linear(rows, n_rows, tasks, precision);
    backend->linear(rows, n_rows, tasks, precision);  // buffers that are in use already change nothing
    return y;
}

// y of one task by the words of backend.h: three linears and an addition.
Block by_parts(const Compute& compute, const Layer& layer, size_t i, const Block& x, size_t n_rows,
               Precision precision) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(compute);
    const auto linear = [&](const Activations& from, const PackedMatrix& w, const float* bias, const Activations& to) {
        const LinearTask task{&w, bias, to};
        backend->linear(from, n_rows, {&task, 1}, precision);
    };
    Block y(n_rows, outputs[i]), sums(n_rows, outputs[i]), t(n_rows, ranks[i]);
    linear(x.view, layer.w[i].matrix, layer.bias_of(i), y.view);
    if (ranks[i] == 0) return y;
    linear(x.view, layer.low_rank[i].v, nullptr, t.view);
    linear(t.view, layer.low_rank[i].u, nullptr, sums.view);
    for (size_t k = 0; k < y.values.size(); ++k) y.values[k] += sums.values[k];
    return y;
}

// Whether nothing differs by more than a few roundings of the largest number.
bool is_near(const Block& a, const Block& b) {
    float largest = 0, difference = 0;
    for (size_t k = 0; k < a.values.size(); ++k) {
        largest = std::fmax(largest, std::fabs(a.values[k]));
        difference = std::fmax(difference, std::fabs(a.values[k] - b.values[k]));
    }
    return difference <= 4 * 0x1p-24f * largest;
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("a low rank is three linears and one addition, bit by bit, in every batch and on every machine") {
        Random random(77);
        const Layer layer(random);
        constexpr size_t most = 67;
        const Block x = random_block(most, inputs, random);
        for (const ActivationMode& mode : activation_modes()) {
            const Precision precision = mode.precision;
            ThreadPool one(1);
            const Compute scalar{one, kernel_table("scalar")};
            std::vector<Block> truth = run(scalar, layer, x, most, 0, precision);
            for (size_t i = 0; i < n_tasks; ++i) {
                const Block parts = by_parts(scalar, layer, i, x, most, precision);
                // With shifts both parts of U t are added to y, one after the other, not their sum.
                CHECK((mode.has_shifts ? is_near(truth[i], parts) : same_bits(truth[i], parts)));
            }
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) continue;
                for (const size_t threads : {1, 2, 3}) {
                    ThreadPool pool(threads);
                    const Compute compute{pool, kernel_table(isa)};
                    CAPTURE(std::string(isa));
                    CAPTURE(threads);
                    const std::vector<Block> all = run(compute, layer, x, most, 0, precision);
                    for (size_t i = 0; i < n_tasks; ++i) CHECK(same_bits(all[i], truth[i]));
                    for (const size_t n_rows : {1, 4, 5}) {  // decode, its limit, the smallest prefill
                        const std::vector<Block> some = run(compute, layer, x, n_rows, 30, precision);
                        for (size_t i = 0; i < n_tasks; ++i)
                            CHECK(std::memcmp(some[i].values.data(), truth[i].view.row(30),
                                              some[i].values.size() * sizeof(float)) == 0);
                    }
                }
            }
        }
    }

    TEST_CASE("exact activations with a low rank are (W + U V) x") {
        Random random(78);
        const Layer layer(random);
        const Block x = random_block(3, inputs, random);
        ThreadPool pool(2);
        const std::vector<Block> y = run({pool, kernel_table()}, layer, x, 3, 0, Precision::exact);
        const PackedCase &w = layer.w[2], &u = layer.u[2], &v = layer.v[2];
        for (size_t row = 0; row < outputs[2]; ++row) {
            double expected = layer.bias[row], size = std::fabs(expected);
            for (size_t c = 0; c < inputs; ++c) {
                double weight = w.value(row, c);
                for (size_t k = 0; k < ranks[2]; ++k)
                    weight += static_cast<double>(u.value(row, k)) * static_cast<double>(v.value(k, c));
                expected += weight * static_cast<double>(x.view.row(1)[c]);
                size += std::fabs(weight * static_cast<double>(x.view.row(1)[c]));
            }
            // Two chains of up to 100 fmas in fp32; the inner one's terms are larger than what they add up to.
            CHECK(std::fabs(static_cast<double>(y[2].view.row(1)[row]) - expected) < 1e-5 * size);
        }
    }
}
