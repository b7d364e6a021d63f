// Grids of groups and plain rounding: the numbers of small groups by hand, then what must hold for every group.
// In: weights by hand and at random. Out: checks of scales, zero points and codes. Must not solve.
#include "core/quantize/grid_search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "formats/element_type.h"
#include "tests/near.h"
#include "tests/quantize/solver_test.h"

using namespace gq;
using namespace gq::test;

namespace {

GroupGrid grid_of(const std::vector<float>& w, unsigned bits, bool symmetric) {
    return fit_grid(w.data(), w.size(), {bits, 0, integer_grid(symmetric)}, 0, 0);
}

std::vector<int> codes_of(const std::vector<float>& w, const GroupGrid& grid, unsigned bits) {
    std::vector<int> codes;
    const float top = GridOptions{bits}.top_code();
    for (const float x : w) codes.push_back(static_cast<int>(nearest_code(x, grid.scale, grid.zero_point, top)));
    return codes;
}

std::vector<float> random_weights(size_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::vector<float> w(n);
    for (float& x : w) x = static_cast<float>(static_cast<int>(generator() % 20001) - 10000) / 65536;
    return w;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("grids of one small group, by hand") {
        const std::vector<float> w{-1.0f, -0.5f, 0.25f, 2.0f};
        SUBCASE("asymmetric: a tie goes to the even neighbour") {
            const GroupGrid grid = grid_of(w, 2, false);
            CHECK(grid.scale == 1.0f);
            CHECK(grid.zero_point == 1);
            CHECK(codes_of(w, grid, 2) == std::vector<int>{0, 1, 1, 3});
        }
        SUBCASE("symmetric: 4/3 as f16") {
            const GroupGrid grid = grid_of(w, 2, true);
            CHECK(grid.scale == 0x1.554p+0f);
            CHECK(grid.zero_point == 2);
            CHECK(codes_of(w, grid, 2) == std::vector<int>{1, 2, 2, 3});
        }
    }

    TEST_CASE("ties go to even codes, NaN and values beyond the grid stay codes") {
        const GroupGrid grid{0.5f, 8};
        const std::vector<float> w{
            0.25f, 0.75f, 1.25f, -0.25f, -0.75f, 100.0f, -1e30f, 1e30f, -std::numeric_limits<float>::infinity()};
        CHECK(codes_of(w, grid, 4) == std::vector<int>{8, 10, 10, 8, 6, 15, 0, 15, 0});
        CHECK(codes_of({std::numeric_limits<float>::quiet_NaN()}, grid, 4) == std::vector<int>{0});
    }

    TEST_CASE("a group of zeros has scale 1 and codes equal to its zero point") {
        const std::vector<float> zeros{0.0f, -0.0f, 0.0f};
        for (const unsigned bits : {2u, 3u, 4u, 8u}) {
            for (const bool symmetric : {false, true}) {
                const GroupGrid grid = grid_of(zeros, bits, symmetric);
                CHECK(grid.scale == 1.0f);
                CHECK(grid.zero_point == (symmetric ? 1 << (bits - 1) : 0));
                for (const int code : codes_of(zeros, grid, bits)) CHECK(code == grid.zero_point);
            }
        }
    }

    TEST_CASE("a group with one sign still holds 0, and a symmetric grid spans it") {
        for (const unsigned bits : {2u, 3u, 4u, 8u}) {
            const int top = (1 << bits) - 1;
            CHECK(grid_of({1.0f, 2.0f, 3.0f}, bits, false).zero_point == 0);
            CHECK(grid_of({-1.0f, -2.0f, -3.0f}, bits, false).zero_point == top);
            for (const float sign : {1.0f, -1.0f}) {
                const GroupGrid grid = grid_of({sign * 1.0f, sign * 3.0f}, bits, true);
                CHECK(grid.zero_point == 1 << (bits - 1));
                CHECK(grid.scale == near(6.0 / top, 1.0 / 2048));  // half a unit of f16
                const int code = codes_of({sign * 3.0f}, grid, bits)[0];
                CHECK(code == (sign > 0 ? top : 0));
                // Half a step is what a symmetric grid cuts off, or overshoots.
                CHECK(std::abs(grid.scale * static_cast<float>(code - grid.zero_point) - sign * 3.0f) <=
                      0.502f * grid.scale);
            }
        }
    }

    // Float sums of a group of 128: relative errors below 1e-5.
    TEST_CASE("clip_grid finds the least weighted error of its candidates, as plain loops in double do") {
        for (const unsigned bits : {2u, 3u, 4u, 8u}) {
            for (const bool symmetric : {false, true}) {
                std::vector<float> w = random_weights(128, bits), importance(w.size());
                w[5] *= 8;  // what clipping is for
                for (size_t i = 0; i < w.size(); ++i) importance[i] = static_cast<float>(1 + i % 7);
                const GridOptions options{bits, 0, integer_grid(symmetric)};
                const auto loss = [&](const GroupGrid& grid) {
                    double sum = 0;
                    for (size_t i = 0; i < w.size(); ++i) {
                        const double code = nearest_code(w[i], grid.scale, grid.zero_point, options.top_code());
                        const double error = static_cast<double>(grid.scale) * (code - grid.zero_point) - w[i];
                        sum += error * error * importance[i];
                    }
                    return sum;
                };
                const GroupGrid whole = grid_of(w, bits, symmetric);
                const GroupGrid clipped = clip_grid(w.data(), importance.data(), w.size(), options, 0, 0);
                double least = loss(whole);
                for (int percent = 2; percent < 80; percent += 2) {
                    // A group of its two ends alone spans the cut range.
                    const auto [low, high] = std::minmax_element(w.begin(), w.end());
                    const float shrink = 1 - static_cast<float>(percent) / 100;
                    least = std::min(least, loss(grid_of({*low * shrink, *high * shrink}, bits, symmetric)));
                }
                CAPTURE(bits);
                CAPTURE(symmetric);
                CHECK(loss(clipped) <= least * (1 + 1e-5));
                if (bits <= 3) CHECK(loss(clipped) < loss(whole));
                std::fill(importance.begin(), importance.end(), 0.0f);
                importance[5] = 1;  // only the largest weight counts: nothing is cut off that makes it worse
                CHECK(loss(clip_grid(w.data(), importance.data(), w.size(), options, 0, 0)) <= loss(whole));
            }
        }
    }

    TEST_CASE("clip_grid of zeros, and of what can't be rounded") {
        const std::vector<float> zeros(32), ones(32, 1.0f);
        const GroupGrid grid = clip_grid(zeros.data(), ones.data(), zeros.size(), {4, 0, integer_grid(false)}, 0, 0);
        CHECK(grid.scale == 1.0f);
        std::vector<float> bad = ones;
        bad[3] = std::numeric_limits<float>::infinity();
        CHECK(contains(error_of(Status::numeric,
                                [&] {
                                    clip_grid(bad.data(), ones.data(), 32, {4, 0, integer_grid(false)}, 7, 64);
                                }),
                       "weight (7, 67): expected a finite number, found inf"));
    }

    TEST_CASE("scales of all magnitudes are finite, above 0 and exact in f16, and nothing is cut off") {
        std::mt19937 generator(7);
        for (int exponent = -149; exponent <= 15; ++exponent) {
            for (int i = 0; i < 24; ++i) {
                const unsigned bits = std::vector<unsigned>{2, 3, 4, 8}[generator() % 4];
                const bool symmetric = generator() % 2 == 0;
                std::vector<float> w(8);
                for (float& x : w)
                    x = std::ldexp(static_cast<float>(generator() % 2001) / 1000 - (i % 3 == 0 ? 0.0f : 1.0f),
                                   exponent);
                const GroupGrid grid = grid_of(w, bits, symmetric);
                const float top = GridOptions{bits}.top_code();
                REQUIRE(std::isfinite(grid.scale));
                REQUIRE(grid.scale > 0);
                REQUIRE(f16_to_f32(f32_to_f16(grid.scale)) == grid.scale);
                REQUIRE(static_cast<float>(grid.zero_point) <= top);
                // The range has `top` steps, one of which both ends share by rounding; f16 shortens it by 2⁻¹¹ at most.
                const float allowed = 0.5f + top / 2048;
                const std::vector<int> codes = codes_of(w, grid, bits);
                for (size_t k = 0; k < w.size(); ++k) {
                    const float q = grid.scale * static_cast<float>(codes[k] - grid.zero_point);
                    REQUIRE(std::abs(q - w[k]) <= allowed * grid.scale);
                }
            }
        }
    }

    TEST_CASE("round_to_nearest: groups, a short last group, the whole row, any number of threads") {
        const size_t rows = 7, cols = 80;
        const std::vector<float> w = random_weights(rows * cols, 3);
        for (const size_t group : {size_t{32}, size_t{64}, size_t{0}}) {
            for (const bool symmetric : {false, true}) {
                const GridOptions options{3, group, integer_grid(symmetric)};
                Machine one(1);
                const QuantizedMatrix q = round_to_nearest(one.compute, w.data(), rows, cols, options);
                REQUIRE(q.n_groups() == options.n_groups(cols));
                for (size_t row = 0; row < rows; ++row) {
                    for (size_t c = 0; c < cols; ++c) {
                        const size_t begin = group == 0 ? 0 : c / group * group,
                                     end = group == 0 ? cols : std::min(cols, begin + group);
                        const std::vector<float> members(&w[row * cols + begin], &w[row * cols] + end);
                        const GroupGrid grid = grid_of(members, 3, symmetric);
                        const int code = codes_of({w[row * cols + c]}, grid, 3)[0];
                        REQUIRE(q.codes[row * cols + c] == code);
                        REQUIRE(q.value(row, c) == grid.scale * static_cast<float>(code - grid.zero_point));
                    }
                }
                for (const size_t n_threads : {2, 3}) {
                    Machine many(n_threads);
                    const QuantizedMatrix other = round_to_nearest(many.compute, w.data(), rows, cols, options);
                    CHECK(std::equal(q.codes.begin(), q.codes.end(), other.codes.begin()));
                    CHECK(std::equal(q.scales.begin(), q.scales.end(), other.scales.begin()));
                    CHECK(std::equal(q.zero_points.begin(), q.zero_points.end(), other.zero_points.begin()));
                }
            }
        }
    }

    TEST_CASE("what cannot be rounded is named") {
        Machine machine(1);
        const auto round = [&](const std::vector<float>& w, size_t rows, size_t cols, const GridOptions& options) {
            round_to_nearest(machine.compute, w.data(), rows, cols, options);
        };
        std::vector<float> w = random_weights(2 * 96, 5);
        SUBCASE("NaN") {
            w[96 + 70] = std::numeric_limits<float>::quiet_NaN();
            const std::string message = error_of(Status::numeric, [&] {
                round(w, 2, 96, {4, 32, integer_grid(false)});
            });
            CHECK(contains(message, "weight (1, 70): expected a finite number, found"));
        }
        SUBCASE("infinity in a group's tail") {
            w[95] = -std::numeric_limits<float>::infinity();
            CHECK(contains(error_of(Status::numeric,
                                    [&] {
                                        round(w, 2, 96, {4, 0, integer_grid(true)});
                                    }),
                           "weight (0, 95)"));
        }
        SUBCASE("a scale that f16 does not hold") {
            w[96 + 40] = 65520.0f * 15;  // 65520 is the first float that rounds to infinity in f16
            const std::string message = error_of(Status::numeric, [&] {
                round(w, 2, 96, {4, 32, integer_grid(false)});
            });
            CHECK(contains(message, "weights (1, 32 … 63): expected a range whose 4-bit scale is at most 65504"));
        }
        SUBCASE("shapes and options") {
            CHECK(contains(error_of(Status::invalid_argument, [&] { round(w, 0, 96, {}); }), "found 0 x 96"));
            CHECK(contains(error_of(Status::invalid_argument,
                                    [&] {
                                        round(w, 2, 96, {1, 32, integer_grid(false)});
                                    }),
                           "expected 2 to 8, found 1"));
            CHECK(contains(error_of(Status::invalid_argument,
                                    [&] {
                                        round(w, 2, 96, {9, 32, integer_grid(false)});
                                    }),
                           "expected 2 to 8, found 9"));
            CHECK(contains(error_of(Status::invalid_argument,
                                    [&] {
                                        round(w, 2, 96, {4, 48, integer_grid(false)});
                                    }),
                           "expected 16, a multiple of 32, or 0"));
        }
    }
}
