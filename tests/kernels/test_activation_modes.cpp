// Activation modes: what quantize_spans gives, number by number; linears in every mode against plain sums in double,
// and bit by bit whatever the kernels, the threads and the rows of a call; what a mode is worth. In: random matrices
// and rows. Out: checks. Must not know models.
#include <doctest/doctest.h>

#include <cstring>

#include "core/kernels/activation_modes.h"
#include "core/kernels/compute.h"
#include "core/kernels/cpu_features.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

// One span by the words of kernels.h, element by element.
struct Span {
    float scale, shift = 0;
    std::vector<int> values;

    Span(const float* x, size_t n, bool is_shifted) : values(n) {
        bool finite = true;
        float low = x[0], high = x[0];
        for (size_t i = 0; i < n; ++i) {
            finite &= std::isfinite(x[i]);
            low = std::fmin(low, x[i]), high = std::fmax(high, x[i]);
        }
        if (is_shifted && finite) shift = 0.5f * low + 0.5f * high;
        float m = 0;
        for (size_t i = 0; i < n; ++i) m = std::fmax(m, std::fabs(x[i] - shift));
        scale = !finite ? std::numeric_limits<float>::quiet_NaN() : m < 1e-30f ? 0 : m / 127;
        for (size_t i = 0; i < n && scale > 0; ++i)
            values[i] = static_cast<int>(std::nearbyint((x[i] - shift) * (127.0f / m)));
    }
    double value(size_t i) const { return static_cast<double>(scale) * values[i] + static_cast<double>(shift); }
};

std::vector<Span> spans_of(const float* x, size_t cols, size_t span_blocks, bool is_shifted) {
    std::vector<Span> spans;
    for (size_t first = 0, span = span_blocks * q8_block; first < cols; first += span)
        spans.emplace_back(x + first, std::min(span, cols - first), is_shifted);
    return spans;
}

void check_block(const Q8Case& q8, size_t block, float scale, const int8_t* values) {
    CHECK(same_bits(q8.scales[block], scale));
    CHECK(std::memcmp(&q8.values[block * q8_block], values, q8_block) == 0);
    for (size_t half = 0; half < 2; ++half) {
        int sum = 0;
        for (size_t i = 0; i < half_tile_cols; ++i) sum += values[half * half_tile_cols + i];
        CHECK(q8.sums[block * 2 + half] == sum);
    }
}

void check_spans(size_t cols, size_t span_blocks, bool is_shifted, Random& random) {
    constexpr size_t n_tokens = 20;
    const std::vector<float> x = wild_floats(n_tokens * cols, random, 300);
    Q8Case q8(n_tokens, cols), shifts(n_tokens, cols);
    quantize_spans(x.data(), cols, n_tokens, cols, span_blocks, q8.rows(), is_shifted ? shifts.rows() : Q8Rows{});
    INFO("cols ", cols, " blocks of a span ", span_blocks, " shifted ", is_shifted);
    for (size_t t = 0; t < n_tokens; ++t) {
        const std::vector<Span> spans = spans_of(&x[t * cols], cols, span_blocks, is_shifted);
        for (size_t b = 0; b < q8.n_blocks; ++b) {
            const Span& span = spans[b / span_blocks];
            int8_t values[q8_block] = {}, ones[q8_block] = {};
            for (size_t i = 0; i < q8_block && b * q8_block + i < cols; ++i) {
                values[i] = static_cast<int8_t>(span.values[b % span_blocks * q8_block + i]);
                ones[i] = 1;
            }
            check_block(q8, t * q8.n_blocks + b, span.scale, values);
            if (is_shifted) check_block(shifts, t * q8.n_blocks + b, span.shift, ones);
        }
    }
}

// --- linears ---------------------------------------------------------------------------------------------------------

Block run(const Compute& compute, const PackedMatrix& w, const Activations& x, size_t n_rows, Precision precision) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(compute);
    Block y(n_rows, w.rows);
    const LinearTask task{&w, nullptr, y.view};
    backend->linear(x, n_rows, {&task, 1}, precision);
    return y;
}

// Dequantized weights times dequantized activations. The tolerance: an element passes at most 2 blocks and a group,
// each with a fma for what it holds, in either half: less than 30 roundings of 2^-24 of terms that add up to `size`.
void check_against_double(const PackedCase& w, const Block& x, const ActivationMode& mode, const Compute& compute) {
    constexpr size_t n_rows = 6;
    const size_t cols = w.matrix.cols, span_blocks = mode.span_blocks(w.matrix);
    const Block y = run(compute, w.matrix, x.view, n_rows, mode.precision);
    for (size_t t = 0; t < n_rows; ++t) {
        const std::vector<Span> spans = spans_of(x.view.row(t), cols, span_blocks, mode.has_shifts);
        for (size_t row = 0; row < w.matrix.rows; ++row) {
            double expected = 0, size = 0;
            for (size_t c = 0; c < cols; ++c) {
                const Span& span = spans[c / (span_blocks * q8_block)];
                const size_t i = c % (span_blocks * q8_block);
                const GroupGrid grid = w.grid(row, w.matrix.group == 0 ? 0 : c / w.matrix.group);
                const double scaled = static_cast<double>(grid.scale) * (w.codes[row * cols + c] - grid.zero_point);
                const double offset = static_cast<double>(grid.offset), shift = static_cast<double>(span.shift);
                expected += (scaled + offset) * span.value(i);
                size += (std::fabs(scaled) + std::fabs(offset)) * (std::fabs(span.value(i) - shift) + std::fabs(shift));
            }
            CHECK(std::fabs(static_cast<double>(y.view.row(t)[row]) - expected) <= 30 * 0x1p-24 * size);
        }
    }
}

// Four weights over one input: spans of a block, two blocks and a row, and floats.
struct Layer {
    static constexpr size_t n_tasks = 4, inputs = 100;
    PackedCase w[n_tasks];
    std::vector<float> bias;

    explicit Layer(Random& random) : bias(40) {
        w[0] = integer_case(*find_codes("int3"), *find_grid("zero_point"), 40, inputs, 64, random);
        w[1] = integer_case(*find_codes("table4"), *find_grid("offset"), 17, inputs, 16, random);
        w[2] = float_case(*find_codes("f16"), 33, inputs, random);
        w[3] = integer_case(*find_codes("int8"), *find_grid("symmetric"), 90, inputs, 0, random);
        for (float& b : bias) b = random.uniform(-1, 1);
    }
    std::vector<Block> run(const Compute& compute, const Activations& x, size_t n_rows, Precision precision) const {
        const std::unique_ptr<Backend> backend = make_cpu_backend(compute);
        std::vector<Block> y;
        std::vector<LinearTask> tasks;
        for (const PackedCase& c : w) y.emplace_back(n_rows, c.matrix.rows);
        for (size_t i = 0; i < n_tasks; ++i) tasks.push_back({&w[i].matrix, i == 0 ? bias.data() : nullptr, y[i].view});
        for (int twice = 0; twice < 2; ++twice) backend->linear(x, n_rows, tasks, precision);
        return y;
    }
};

void check_bits(const Layer& layer, const Block& x, const std::vector<Block>& truth, const Compute& compute,
                Precision precision) {
    for (const size_t n_rows : {1, 4, 5, 60}) {  // decode, its limit, the smallest prefill
        const std::vector<Block> y =
            layer.run(compute, {x.view.row(3), x.view.stride, x.view.width}, n_rows, precision);
        for (size_t i = 0; i < Layer::n_tasks; ++i)
            CHECK(std::memcmp(y[i].values.data(), truth[i].view.row(3), y[i].values.size() * sizeof(float)) == 0);
    }
}

// Mean of |y - exact y|.
double mean_error(const PackedMatrix& w, const Block& x, size_t n_rows, std::string_view mode) {
    ThreadPool pool(1);
    const Compute compute{pool, kernel_table()};
    const Block exact = run(compute, w, x.view, n_rows, Precision::exact),
                y = run(compute, w, x.view, n_rows, find_activation_mode(mode).precision);
    double sum = 0;
    for (size_t i = 0; i < y.values.size(); ++i)
        sum += std::fabs(static_cast<double>(y.values[i]) - static_cast<double>(exact.values[i]));
    return sum / static_cast<double>(n_rows * w.rows);
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("a span of activations has the numbers that its contract gives it") {
        Random random(91);
        for (const size_t cols : {1, 16, 32, 33, 100, 160})
            for (const size_t span_blocks : {1, 2, 4, 5})
                for (const bool is_shifted : {false, true}) check_spans(cols, span_blocks, is_shifted, random);
    }

    TEST_CASE("spans of one block are quantize_q8, bit by bit") {
        Random random(92);
        constexpr size_t n_tokens = 50, cols = 150;
        const std::vector<float> x = wild_floats(n_tokens * cols, random);
        Q8Case spans(n_tokens, cols), blocks(n_tokens, cols);
        quantize_spans(x.data(), cols, n_tokens, cols, 1, spans.rows(), {});
        scalar_table().quantize_q8(x.data(), cols, n_tokens, cols, blocks.rows());
        CHECK(first_difference(spans.scales, blocks.scales) == spans.scales.size());
        CHECK(spans.values == blocks.values);
        CHECK(spans.sums == blocks.sums);
    }

    TEST_CASE("in every mode y is the product of what weights and activations stand for") {
        Random random(93);
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        Block x = random_block(6, 100, random);
        for (float& value : x.values) value = value == 0 ? value : value + 0.5f;  // padding stays 0
        for (const Codes* codes : all_codes()) {
            for (const Grid* grid : all_grids()) {
                for (const size_t group : {16, 32, 64, 0}) {
                    if (codes->is_float) continue;
                    const PackedCase w = integer_case(*codes, *grid, 19, 100, group, random);
                    for (const ActivationMode& mode : activation_modes()) {
                        if (!mode.prepare) continue;
                        INFO(describe(w.matrix), " ", std::string(mode.name));
                        check_against_double(w, x, mode, compute);
                    }
                }
            }
        }
    }

    TEST_CASE("every mode gives the same bits on all kernels, at any thread count, in decode and prefill") {
        Random random(94);
        const Layer layer(random);
        const Block x = random_block(67, Layer::inputs, random);
        ThreadPool one(1);
        const std::vector<Block> exact = layer.run({one, kernel_table("scalar")}, x.view, 67, Precision::exact);
        for (const ActivationMode& mode : activation_modes()) {
            CAPTURE(std::string(mode.name));
            const std::vector<Block> truth = layer.run({one, kernel_table("scalar")}, x.view, 67, mode.precision);
            CHECK(same_bits(truth[2], exact[2]));  // floats are multiplied as floats
            for (size_t i : {0, 1, 3}) CHECK(same_bits(truth[i], exact[i]) == !mode.prepare);
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) continue;
                CAPTURE(std::string(isa));
                for (const size_t threads : {1, 2, 3}) {
                    ThreadPool pool(threads);
                    check_bits(layer, x, truth, {pool, kernel_table(isa)}, mode.precision);
                }
            }
        }
    }

    TEST_CASE("an outlier costs its whole span, and an asymmetric span has no use for a common part") {
        Random random(95);
        constexpr size_t cols = 256, n_rows = 8;
        const PackedCase w = integer_case(*find_codes("int8"), *find_grid("symmetric"), 32, cols, 64, random);
        Block outliers = random_block(n_rows, cols, random), common = outliers;
        common.view.data = common.values.data();
        for (size_t t = 0; t < n_rows; ++t) outliers.view.row(t)[37 * t % cols] = 200;
        for (float& value : common.values) value += 100;
        const auto error = [&](const Block& x, std::string_view mode) { return mean_error(w.matrix, x, n_rows, mode); };
        CHECK(error(outliers, "token") > 1.5 * error(outliers, "group"));
        CHECK(error(outliers, "group") > 1.2 * error(outliers, "block"));
        CHECK(error(common, "token") > 20 * error(common, "token-asym"));
        CHECK(error(common, "group") > 20 * error(common, "group-asym"));
    }

    TEST_CASE("modes are found by their names, and an unknown name is answered with all of them") {
        for (const ActivationMode& mode : activation_modes()) {
            CHECK(&find_activation_mode(mode.name) == &mode);
            CHECK(&activation_mode(mode.precision) == &mode);
        }
        CHECK_THROWS_WITH_AS(
            find_activation_mode("rows"),
            "activations: expected one of block, token, group, token-asym, group-asym, exact, found 'rows'", Error);
    }
}
