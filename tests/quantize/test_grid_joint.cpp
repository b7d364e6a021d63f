// The joint search for scale and zero, against exhaustive searches in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "core/quantize/grid_search.h"
#include "tests/quantize/solver_grids.h"
#include "tests/quantize/solver_test.h"

using namespace gq;
using namespace gq::test;

namespace {

struct Weights {
    std::vector<float> w, importance;
    Weights(size_t n, uint32_t seed) : w(n), importance(n) {
        std::minstd_rand random(seed);
        const auto uniform = [&] { return static_cast<float>(random()) / static_cast<float>(random.max()); };
        for (float& x : w) x = (uniform() + uniform() + uniform() - 1.3f) / 16;
        for (float& x : importance) x = uniform() < 0.1f ? 20 * uniform() : uniform();
        w[0] *= 4;  // an outlier, which the importance may not care for
    }
};

// Σ h (q − w)² with real scale and offset.
double error_of(const Weights& group, double scale, double offset, double top) {
    double sum = 0;
    for (size_t i = 0; i < group.w.size(); ++i) {
        const double code = std::clamp(std::nearbyint((group.w[i] - offset) / scale), 0.0, top);
        const double error = scale * code + offset - group.w[i];
        sum += error * error * group.importance[i];
    }
    return sum;
}

double error_of(const Weights& group, const GroupGrid& grid, const GridOptions& options) {
    return error_of(group, grid.scale, static_cast<double>(grid.offset) - grid.scale * grid.zero_point,
                    options.top_code());
}

// The least error over a fine mesh of scales and offsets (or zero points), all real.
double least_error(const Weights& group, const GridOptions& options) {
    const auto [low, high] = std::minmax_element(group.w.begin(), group.w.end());
    const double top = options.top_code(), full = (*high - *low) / top;
    double least = 1e30;
    for (double share = 0.2; share < 1.5; share += 0.005) {
        const double scale = share * full;
        if (options.grid->has_offsets) {
            for (double offset = *low - scale; offset < std::max<double>(*low, *high - scale * top) + scale;
                 offset += scale / 40)
                least = std::min(least, error_of(group, scale, offset, top));
        } else {
            for (int zero = 0; zero <= static_cast<int>(top); ++zero)
                least = std::min(least, error_of(group, scale, -scale * zero, top));
        }
    }
    return least;
}

}  // namespace

TEST_SUITE("quantize") {
    // Few scales are looked at, coarse to fine, so a narrow valley may be missed: by up to a quarter of a group's
    // error, by 2 % of that of all.
    TEST_CASE("a joint search comes near the best of all scales and zeros") {
        for (const Grid* grid :
             {find_grid("zero_point"), find_grid("offset"), static_cast<const Grid*>(&offset_grid)}) {
            for (const unsigned bits : {2u, 3u, 4u}) {
                double joint = 0, least = 0, clip = 0;
                for (uint32_t seed = 1; seed <= 12; ++seed) {
                    const Weights group(seed % 2 ? 64 : 32, seed);
                    const GridOptions options{bits, 32, grid};
                    const GroupGrid found =
                        joint_grid(group.w.data(), group.importance.data(), group.w.size(), options, 0, 0);
                    const GroupGrid clipped =
                        clip_grid(group.w.data(), group.importance.data(), group.w.size(), options, 0, 0);
                    joint += error_of(group, found, options);
                    clip += error_of(group, clipped, options);
                    least += least_error(group, options);
                    CHECK(error_of(group, found, options) <= error_of(group, clipped, options) * (1 + 1e-6));
                    CHECK(error_of(group, found, options) < 1.25 * least_error(group, options));
                }
                CAPTURE(grid->name);
                CAPTURE(bits);
                CHECK(joint < 1.02 * least);
                CHECK(joint < clip);
            }
        }
    }

    TEST_CASE("groups without a range, without importance, and of one sign have grids") {
        for (const Grid* grid : {find_grid("zero_point"), find_grid("symmetric"), find_grid("offset"),
                                 static_cast<const Grid*>(&offset_grid)}) {
            const GridOptions options{3, 32, grid};
            const std::vector<float> ones(32, 1.0f), zeros(32, 0.0f), same(32, -0.25f);
            std::vector<float> rising(32);
            for (size_t i = 0; i < 32; ++i) rising[i] = 1 + static_cast<float>(i) / 64;
            const std::vector<float> positive = rising;
            for (const std::vector<float>* w : {&zeros, &same, &positive}) {
                for (const std::vector<float>* importance : {&ones, &zeros}) {
                    const GroupGrid found = joint_grid(w->data(), importance->data(), 32, options, 0, 0);
                    CHECK((std::isfinite(found.scale) && found.scale > 0 && std::isfinite(found.offset)));
                    CHECK(found.zero_point <= 7);
                }
            }
        }
        std::vector<float> bad(32, 1.0f);
        bad[7] = std::nanf("");
        const std::string message = gq::test::error_of(Status::numeric, [&] {
            joint_grid(bad.data(), bad.data(), 32, {3, 32, find_grid("zero_point")}, 4, 64);
        });
        CHECK(contains(message, "weight (4, 71): expected a finite number"));
    }
}
