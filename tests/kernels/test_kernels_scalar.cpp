// The truth itself: every scalar operation against its contract, written out in the plainest way from logical weights.
// In: random cases of kernel_cases.h. Out: checks by bits.
// Must not use another variant as reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/kernels/math.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

const KernelTable& truth = scalar_table();

// y of one row and token by the integer contract of gemv.
float integer_contract(const PackedCase& c, const Q8Case& x, size_t row, size_t token) {
    const PackedMatrix& m = c.matrix;
    const size_t group_cols = m.group == 0 ? m.cols : m.group;
    float y = 0;
    for (size_t group = 0; group * group_cols < m.cols; ++group) {
        const size_t group_end = std::min((group + 1) * group_cols, m.cols);
        const GroupGrid grid = c.grid(row, group);
        float acc = 0, sum_x = 0;
        for (size_t col = group * group_cols; col < group_end; col += std::min(group_cols, q8_block)) {
            int sum = 0, ones = 0;
            for (size_t k = col; k < std::min(col + q8_block, group_end); ++k) {
                const int value = x.values[token * x.n_blocks * q8_block + k];
                sum += (c.codes[row * m.cols + k] - grid.zero_point) * value;
                ones += value;
            }
            const float scale = x.scales[token * x.n_blocks + col / q8_block];
            acc = std::fma(scale, static_cast<float>(sum), acc);
            sum_x = std::fma(scale, static_cast<float>(ones), sum_x);
        }
        y = std::fma(grid.scale, acc, y);
        if (m.grid->has_offsets) y = std::fma(grid.offset, sum_x, y);
    }
    return y;
}

// Each element's lane is its index modulo 16; the lanes are added as a tree.
float lane_sum(const std::vector<float>& values) {
    float lane[16] = {};
    for (size_t i = 0; i < values.size(); ++i) lane[i % 16] += values[i];
    for (size_t i = 0; i < 8; ++i) lane[i] += lane[i + 8];
    for (size_t i = 0; i < 4; ++i) lane[i] += lane[i + 4];
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

float bits_to_float(uint32_t bits) {
    return std::bit_cast<float>(bits);
}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("scalar gemv and gemm_u8s8 follow the integer contract for all codes and grids") {
        Random random(21);
        for (const Codes* codes : all_codes()) {
            if (codes->is_float) continue;
            for (const Grid* grid : all_grids()) {
                for (const size_t group : {size_t{16}, size_t{32}, size_t{64}, size_t{0}}) {
                    for (const Fill fill : all_fills) {
                        const size_t rows = 19, cols = 139, tokens = 11;
                        const PackedCase c = integer_case(*codes, *grid, rows, cols, group, random, fill);
                        Q8Case x = q8_case(tokens, cols, random);
                        const std::vector<float> sums = group_sums(c.matrix, x);
                        std::vector<float> expected(tokens * rows), y(expected), prefill(expected);
                        for (size_t i = 0; i < expected.size(); ++i)
                            expected[i] = integer_contract(c, x, i % rows, i / rows);
                        LinearArgs args{.weights = &c.matrix,
                                        .panel_begin = 0,
                                        .panel_end = 2,
                                        .n_tokens = tokens,
                                        .q8 = x.rows(),
                                        .group_sums = sums.data(),
                                        .y = y.data(),
                                        .y_stride = rows};
                        truth.gemv[codes_index(*codes)](args);
                        args.y = prefill.data();
                        truth.gemm_u8s8(args, expand_panels(c.matrix, 0, 2).data());
                        INFO("codes ", std::string(codes->name), " grid ", std::string(grid->name), " group ", group);
                        REQUIRE(first_difference(y, expected) == y.size());
                        REQUIRE(first_difference(prefill, expected) == y.size());
                    }
                }
            }
        }
    }

    TEST_CASE("scalar gemv of float codes and gemm_f32 are one fma per input, ascending") {
        Random random(22);
        for (const char* name : {"f16", "bf16", "f32"}) {
            const size_t rows = 21, cols = 45, tokens = 3, padded = 64;
            const PackedCase c = float_case(*find_codes(name), rows, cols, random);
            std::vector<float> x(tokens * padded), expected(tokens * rows), y(expected), product(expected);
            for (size_t i = 0; i < x.size(); ++i) x[i] = i % padded < cols ? random.uniform(-3.0f, 3.0f) : 0.0f;
            for (size_t i = 0; i < expected.size(); ++i) {
                for (size_t k = 0; k < padded; ++k)
                    expected[i] =
                        std::fma(k < cols ? c.value(i % rows, k) : 0.0f, x[i / rows * padded + k], expected[i]);
            }
            truth.gemv[codes_index(*c.matrix.codes)]({.weights = &c.matrix,
                                                      .panel_begin = 0,
                                                      .panel_end = 2,
                                                      .n_tokens = tokens,
                                                      .q8 = {},
                                                      .x = x.data(),
                                                      .x_stride = padded,
                                                      .y = y.data(),
                                                      .y_stride = rows});
            std::vector<float> panels(2 * padded * panel_rows);
            for (size_t p = 0; p < 2; ++p) unpack_panel_f32(c.matrix, p, &panels[p * padded * panel_rows]);
            GemmF32Args args{.a = x.data(),
                             .a_stride = padded,
                             .panels = panels.data(),
                             .panel_stride = padded * panel_rows,
                             .c = product.data(),
                             .c_stride = rows,
                             .m = tokens,
                             .n_cols = rows,
                             .k = 17};
            truth.gemm_f32(args);  // in two parts: the second goes on from the first
            args.a += 17;
            args.panels += 17 * panel_rows;
            args.k = padded - 17;
            args.accumulate = true;
            truth.gemm_f32(args);
            INFO("codes ", std::string(name));
            CHECK(first_difference(y, expected) == y.size());
            CHECK(first_difference(product, expected) == y.size());
        }
    }

    TEST_CASE("quantize_q8: scale, rounding and sums of a block") {
        std::vector<float> x(32);
        for (size_t i = 0; i < 32; ++i) x[i] = static_cast<float>(i) - 15.5f;
        x[0] = 127.0f;  // scale 1: the values are rounded as they are, ties to even
        Q8Case q(1, 32);
        truth.quantize_q8(x.data(), 32, 1, 32, q.rows());
        CHECK(q.scales[0] == 1.0f);
        CHECK(q.values[0] == 127);
        CHECK(q.values[1] == -14);  // -14.5
        CHECK(q.values[2] == -14);  // -13.5
        CHECK(q.values[15] == 0);   // -0.5
        CHECK(q.values[16] == 0);   // 0.5
        CHECK(q.values[17] == 2);   // 1.5
        const std::vector<int16_t> sums = q.sums;
        q.set_sums();
        CHECK(sums == q.sums);
    }

    TEST_CASE("quantize_q8: blocks that are zero, tiny, huge or not finite") {
        struct Row {
            float largest;
            uint32_t scale_bits;
            int value;
        };
        const float max = std::numeric_limits<float>::max();
        const Row rows[] = {{0.0f, 0, 0},
                            {-0.0f, 0, 0},
                            {9.9e-31f, 0, 0},
                            {1e-30f, std::bit_cast<uint32_t>(1e-30f / 127.0f), 127},
                            {-max, std::bit_cast<uint32_t>(max / 127.0f), -127},
                            {HUGE_VALF, 0x7fc00000u, 0},
                            {-HUGE_VALF, 0x7fc00000u, 0},
                            {bits_to_float(0x7fc12345u), 0x7fc00000u, 0},
                            {bits_to_float(0xff800001u), 0x7fc00000u, 0}};
        for (const Row& row : rows) {
            std::vector<float> x(32);
            x[20] = row.largest;
            Q8Case q(1, 32);
            q.values.assign(32, 99);
            q.sums.assign(2, 99);
            truth.quantize_q8(x.data(), 32, 1, 32, q.rows());
            INFO("largest ", row.largest);
            CHECK(std::bit_cast<uint32_t>(q.scales[0]) == row.scale_bits);
            CHECK(q.values[20] == row.value);
            CHECK(q.values[21] == 0);
            CHECK(q.sums[0] == 0);
            CHECK(q.sums[1] == row.value);
        }
    }

    TEST_CASE("quantize_q8: a short row is padded with zeros and its neighbours stay apart") {
        const std::vector<float> x(3 * 40, 2.0f);
        Q8Case q(3, 37);
        q.values.assign(q.values.size(), 99);
        truth.quantize_q8(x.data(), 40, 3, 37, q.rows());
        for (size_t i = 0; i < q.values.size(); ++i) REQUIRE(q.values[i] == (i % 64 < 37 ? 127 : 0));
        CHECK(q.sums[2] == 5 * 127);
        CHECK(q.sums[3] == 0);
    }

    TEST_CASE("softmax_block: the largest score, its exponentials, zeros outside, the order of the sum") {
        Random random(23);
        const size_t ranges[][2] = {{0, 64}, {0, 1}, {63, 64}, {5, 44}, {17, 18}, {32, 64}};
        for (const auto& range : ranges) {
            const size_t first = range[0], last = range[1];
            std::vector<float> scores = random_floats(64, random, 20.0f), expected(64);
            for (size_t j = 0; j < 64; ++j) {
                if (j < first || j >= last) scores[j] = j % 2 ? std::nanf("") : HUGE_VALF;
            }
            float max = -HUGE_VALF;
            for (size_t j = first; j < last; ++j) max = std::max(max, scores[j] * 0.125f);
            for (size_t j = first; j < last; ++j) expected[j] = exp_f32(scores[j] * 0.125f - max);
            const SoftmaxPart part = truth.softmax_block(scores.data(), first, last, 0.125f);
            INFO("range ", first, " ", last);
            CHECK(part.max == max);
            CHECK(part.sum == lane_sum(expected));
            CHECK(first_difference(scores, expected) == 64);
        }
        std::vector<float> scores(64, 3.0f);
        const SoftmaxPart none = truth.softmax_block(scores.data(), 7, 7, 1.0f);
        CHECK(none.max == -HUGE_VALF);
        CHECK(none.sum == 0.0f);
        CHECK(std::all_of(scores.begin(), scores.end(), [](float s) { return s == 0.0f; }));
        scores.assign(64, -0.0f);
        CHECK(!std::signbit(truth.softmax_block(scores.data(), 0, 64, 1.0f).max));
    }

    TEST_CASE("silu_mul and rms_norm, in place too") {
        Random random(24);
        for (const size_t n : {size_t{1}, size_t{15}, size_t{16}, size_t{33}, size_t{576}}) {
            const std::vector<float> x = random_floats(n, random, 8.0f), w = random_floats(n, random);
            std::vector<float> silu(n), norm(n), squares(n), in_place = x;
            for (size_t i = 0; i < n; ++i) silu[i] = x[i] / (1.0f + exp_f32(-x[i])) * w[i];
            for (size_t i = 0; i < n; ++i) squares[i] = x[i] * x[i];
            const float inverse = 1.0f / std::sqrt(lane_sum(squares) / static_cast<float>(n) + 1e-5f);
            for (size_t i = 0; i < n; ++i) norm[i] = x[i] * inverse * w[i];
            truth.silu_mul(in_place.data(), w.data(), n, in_place.data());
            INFO("n ", n);
            CHECK(first_difference(in_place, silu) == n);
            in_place = w;
            truth.silu_mul(x.data(), in_place.data(), n, in_place.data());
            CHECK(first_difference(in_place, silu) == n);
            in_place = x;
            truth.rms_norm(in_place.data(), w.data(), 1e-5f, n, in_place.data());
            CHECK(first_difference(in_place, norm) == n);
        }
    }
}
