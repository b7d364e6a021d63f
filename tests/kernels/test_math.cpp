// exp, sin and cos against the C library in double, at their borders, and as the same bits everywhere.
// In: numbers, dense around the borders. Out: checks of errors in ulp, and of one hash of all results.
// Must not know kernels.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/kernels/math.h"
#include "tests/kernels/kernel_cases.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

// Distance of y from the exact value in units of the last place of a float of that size, subnormals included.
double error_in_ulps(float y, double exact) {
    int exponent;
    std::frexp(exact, &exponent);
    return std::fabs(y - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// FNV-1a over 32-bit words.
struct Hash {
    uint64_t value = 0xcbf29ce484222325u;
    void add(uint32_t word) { value = (value ^ word) * 0x100000001b3u; }
};

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("exp is within 1.1 ulp wherever it is finite") {
        double worst = 0;
        float worst_at = 0;
        for (uint32_t bits = 0; bits < 0x42c00000u; bits += 1009) {  // magnitudes up to 96; the step is a prime
            for (const uint32_t sign : {0u, 0x80000000u}) {
                const float x = std::bit_cast<float>(bits | sign);
                const double exact = std::exp(static_cast<double>(x));
                if (exact > std::numeric_limits<float>::max()) continue;
                const double error = error_in_ulps(exp_f32(x), exact);
                if (error > worst) worst = error, worst_at = x;
            }
        }
        INFO("worst at ", worst_at);
        CHECK(worst <= 1.1);
    }

    TEST_CASE("exp at its borders") {
        CHECK(exp_f32(0.0f) == 1.0f);
        CHECK(exp_f32(-0.0f) == 1.0f);
        CHECK(exp_f32(std::numeric_limits<float>::denorm_min()) == 1.0f);
        CHECK(exp_f32(inf) == inf);
        CHECK(exp_f32(-inf) == 0.0f);
        CHECK(!std::signbit(exp_f32(-inf)));
        CHECK(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
        CHECK(std::isnan(exp_f32(-std::numeric_limits<float>::quiet_NaN())));
        CHECK(std::isfinite(exp_f32(88.722f)));  // log of the largest float: 88.72284
        CHECK(exp_f32(88.723f) == inf);
        CHECK(exp_f32(1e30f) == inf);
        CHECK(exp_f32(-103.97f) == std::numeric_limits<float>::denorm_min());  // log of half of it: -103.9721
        CHECK(exp_f32(-103.98f) == 0.0f);
        CHECK(exp_f32(-1e30f) == 0.0f);
    }

    TEST_CASE("log is within 1e-15 of its size") {
        double worst = 0;
        for (int i = -40000; i <= 40000; ++i) {
            const double x = std::exp(i * 0.0171) * (1 + 1e-3 * (i % 7));
            const double exact = std::log(x);
            worst = std::max(worst, std::fabs(log_f64(x) - exact) / std::max(std::fabs(exact), 1.0));
        }
        CHECK(worst < 1e-15);
        CHECK(log_f64(1) == 0);
        CHECK(log_f64(2) == std::numbers::ln2);
        const double near_one = 1 + 1e-10;
        CHECK(std::fabs(log_f64(near_one) / std::log(near_one) - 1) < 1e-15);
    }

    TEST_CASE("exp gives the same bits with every compiler and on every machine") {
        Hash hash;
        for (int i = -110 * 512; i <= 95 * 512; ++i)
            hash.add(std::bit_cast<uint32_t>(exp_f32(static_cast<float>(i) / 512)));
        CHECK(hash.value == 11299609231673844444u);  // its own output (x86-64, GCC 12): equal everywhere
    }

    TEST_CASE("sin and cos are within 1e-13 for angles up to 1e6") {
        Random random(11);
        double worst = 0;
        for (int i = 0; i < 400000; ++i) {
            const double reach = i % 4 == 0 ? 1e6 : i % 4 == 1 ? 1e4 : i % 4 == 2 ? 10.0 : 1e-3;
            const double angle = (static_cast<double>(random.next() >> 11) * 0x1p-52 - 1.0) * reach;
            const SinCos y = sin_cos(angle);
            worst = std::max({worst, std::fabs(y.sin - std::sin(angle)), std::fabs(y.cos - std::cos(angle))});
        }
        for (int i = -600000; i <= 600000; ++i) {  // where quadrants meet
            const double angle = i * 0.78539816339744831;
            const SinCos y = sin_cos(angle);
            worst = std::max({worst, std::fabs(y.sin - std::sin(angle)), std::fabs(y.cos - std::cos(angle))});
        }
        CHECK(worst < 1e-13);
    }

    TEST_CASE("sin and cos at their borders") {
        CHECK(sin_cos(0.0).sin == 0.0);
        CHECK(sin_cos(0.0).cos == 1.0);
        CHECK(std::isnan(sin_cos(std::numeric_limits<double>::infinity()).sin));
        CHECK(std::isnan(sin_cos(std::numeric_limits<double>::quiet_NaN()).cos));
        CHECK(sin_f32(1.0f) == static_cast<float>(std::sin(1.0)));
        CHECK(cos_f32(1.0f) == static_cast<float>(std::cos(1.0)));
        Hash hash;
        for (int i = -50000; i <= 50000; ++i) {
            const SinCos y = sin_cos(i * 0.37);
            for (const double part : {y.sin, y.cos}) {
                const uint64_t bits = std::bit_cast<uint64_t>(part);
                hash.add(static_cast<uint32_t>(bits));
                hash.add(static_cast<uint32_t>(bits >> 32));
            }
        }
        CHECK(hash.value == 3978800632364534637u);  // its own output (x86-64, GCC 12): equal everywhere
    }
}
