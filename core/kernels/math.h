// exp, log, sin and cos of our own: the same bits with every libm, compiler and ISA, by products and sums only (no
// fma). In: a number. Out: a number. No branches: SIMD twins repeat the steps lane by lane. Must not know who asks.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gq {

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is split in two (Cody and Waite): ln2_high has 15
// bits, so that n * ln2_high is exact. exp(r) = 1 + r + r^2 * (c0 + c1 r + ... + c4 r^4), fitted at Chebyshev nodes.
namespace exp_steps {
inline constexpr float lowest = -105.0f, highest = 89.0f;  // beyond, the result is 0 and infinity
inline constexpr float log2_e = 0x1.715476p+0f;
inline constexpr float rounder = 0x1.8p+23f;  // t + rounder holds round(t) in its low bits
inline constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
inline constexpr float c0 = 0.5f, c1 = 0x1.5554dep-3f, c2 = 0x1.55551ap-5f, c3 = 0x1.120b62p-7f, c4 = 0x1.6d10fcp-10f;
}  // namespace exp_steps

// Error at most 1.1 ulp, subnormal results included; exp(0) = 1, exp(-inf) = 0, exp(inf) = inf, NaN gives NaN.
inline float exp_f32(float x) {
    using namespace exp_steps;
    x = x > highest ? highest : x;  // NaN passes both
    x = x < lowest ? lowest : x;
    const float shifted = x * log2_e + rounder;
    const float n = shifted - rounder;
    const float r = (x - n * ln2_high) - n * ln2_low;
    const float tail = (((c4 * r + c3) * r + c2) * r + c1) * r + c0;
    const float exp_r = 1.0f + (r + (r * r) * tail);
    // 2^n as a product of two normal powers: n reaches from -151 to 128.
    const int32_t n_int = static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(rounder));
    const int32_t half = n_int >> 1;
    const float power_1 = std::bit_cast<float>(static_cast<uint32_t>(half + 127) << 23);
    const float power_2 = std::bit_cast<float>(static_cast<uint32_t>(n_int - half + 127) << 23);
    return exp_r * power_1 * power_2;
}

// log(x) = n * ln 2 + log m, x = 2^n * m, sqrt(1/2) <= m < sqrt(2), and with s = (m - 1) / (m + 1), |s| < 0.1716,
// log m = 2 (s + s^3/3 + s^5/5 + ...) up to s^21: the next term is below 1e-18.
namespace log_steps {
inline constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;  // n * ln2_high is exact
inline constexpr double sqrt_2 = 0x1.6a09e667f3bcdp+0;
inline constexpr uint64_t one_bits = std::bit_cast<uint64_t>(1.0), mantissa_bits = (uint64_t{1} << 52) - 1;
}  // namespace log_steps

// Error below 1e-15 times the result, or times 1 next to x = 1. x: a positive normal number.
inline double log_f64(double x) {
    using namespace log_steps;
    const uint64_t bits = std::bit_cast<uint64_t>(x);
    const double from_one = std::bit_cast<double>((bits & mantissa_bits) | one_bits);  // below 2
    const bool halved = from_one >= sqrt_2;
    const double m = halved ? from_one / 2 : from_one;
    const double n = static_cast<double>(static_cast<int64_t>(bits >> 52) - 1023 + halved);
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int k = 21; k >= 3; k -= 2) sum = (sum + 1.0 / k) * square;
    return n * ln2_high + (n * ln2_low + 2 * (s + s * sum));
}

// quantize_q8: where the largest magnitude m of a block is usable, as a number and as its bits.
namespace q8_steps {
inline constexpr float smallest = 1e-30f;  // below, 127 / m would leave the floats
inline constexpr int smallest_bits = std::bit_cast<int>(smallest);
inline constexpr int infinity_bits = 0x7f800000;                          // from here on, m is infinite or NaN
inline constexpr float not_a_number = std::bit_cast<float>(0x7fc00000u);  // the scale then
}  // namespace q8_steps

// out = x - mean(x), all of n floats; the sum by 16 lanes as kernels.h adds those of a norm. out may be x.
inline void center_row(const float* x, size_t n, float* out) {
    constexpr size_t lanes = 16;
    float sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (size_t l = 0; l < lanes; ++l) sums[l] += x[i + l];
    for (; i < n; ++i) sums[i % lanes] += x[i];
    for (size_t half = lanes / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    const float mean = sums[0] / static_cast<float>(n);
    for (i = 0; i < n; ++i) out[i] = x[i] - mean;
}

// GELU by its approximation with tanh: x · s(u), s the logistic function, u = 2 √(2/π) (x + 0.044715 x³).
namespace gelu_steps {
inline constexpr float linear = 1.5957691216f, cubic = 0.0713548163f;  // 2 √(2/π), and that times 0.044715
}  // namespace gelu_steps
inline float gelu_logistic(float x) {
    return 1 / (1 + exp_f32(-x * (gelu_steps::linear + gelu_steps::cubic * (x * x))));
}
inline float gelu(float x) {
    return x * gelu_logistic(x);
}

// ALiBi (arXiv 2108.12409): how fast scores of a head fall. With n heads, n a power of two: 2^(-8 (head + 1) / n); of
// more heads, those beyond the power of two n below take every second slope of 2 n heads. Not for inner loops.
inline double alibi_slope(size_t head, size_t n_heads) {
    const size_t n = std::bit_floor(n_heads), power = head < n ? 2 * (head + 1) : 2 * (head - n) + 1;
    double ratio = 0x1p-4, slope = 1;  // ratio: to be 2^(-4 / n)
    for (size_t i = n; i > 1; i /= 2) ratio = std::sqrt(ratio);
    for (size_t i = 0; i < power; ++i) slope *= ratio;
    return slope;
}
// By head: what add_alibi() takes where scores are scaled by `scale` afterwards.
inline std::vector<float> alibi_falls(size_t n_heads, float scale) {
    std::vector<float> falls(n_heads);
    for (size_t h = 0; h < n_heads; ++h)
        falls[h] = static_cast<float>(alibi_slope(h, n_heads) / static_cast<double>(scale));
    return falls;
}
// To n scores of keys one after another; first: the position of the first key less the query's.
inline void add_alibi(float* scores, size_t n, float fall, ptrdiff_t first) {
    for (size_t i = 0; i < n; ++i) scores[i] += fall * static_cast<float>(first + static_cast<ptrdiff_t>(i));
}

inline void relu_row(const float* x, size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = x[i] > 0 ? x[i] : 0;
}
inline void gelu_row(const float* x, size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = gelu(x[i]);
}

// sum = a + b, of n floats each.
inline void add_rows(const float* a, const float* b, size_t n, float* sum) {
    for (size_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
}

struct SinCos {
    double sin, cos;
};

// Angle = n * pi/2 + r, |r| <= pi/4; pi/2 is split in three, the first two of 33 bits, so that their products with n
// are exact below 2^20.
namespace sin_cos_steps {
inline constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
inline constexpr double rounder = 0x1.8p+52;  // t + rounder holds round(t) in its low bits
inline constexpr double half_pi_high = 0x1.921fb544p+0, half_pi_middle = 0x1.0b4611a6p-34,
                        half_pi_low = 0x1.3198a2e037073p-69;
// Taylor's series up to r^15 and r^16, in r^2: the next terms are below 1e-16 for |r| <= pi/4.
inline constexpr double sin_terms[] = {-1.0 / 6,        1.0 / 120,        -1.0 / 5040,         1.0 / 362880,
                                       -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000};
inline constexpr double cos_terms[] = {-1.0 / 2,       1.0 / 24,        -1.0 / 720,         1.0 / 40320,
                                       -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
template <size_t n>
inline double horner(double s, const double (&terms)[n]) {
    double sum = terms[n - 1];
    for (size_t i = n - 1; i-- > 0;) sum = sum * s + terms[i];
    return sum;
}
}  // namespace sin_cos_steps

// Error below 1e-13 for |angle| <= 1e6 (rotary positions). Infinite and NaN angles give NaN.
inline SinCos sin_cos(double angle) {
    using namespace sin_cos_steps;
    const double shifted = angle * two_over_pi + rounder;
    const double n = shifted - rounder;
    const double r = ((angle - n * half_pi_high) - n * half_pi_middle) - n * half_pi_low;
    const double s = r * r;
    const double sin_r = r + r * s * horner(s, sin_terms), cos_r = 1.0 + s * horner(s, cos_terms);
    const uint64_t quadrant = std::bit_cast<uint64_t>(shifted) & 3;  // n modulo 4
    const double sin_part = quadrant & 1 ? cos_r : sin_r, cos_part = quadrant & 1 ? sin_r : cos_r;
    return {quadrant & 2 ? -sin_part : sin_part, (quadrant + 1) & 2 ? -cos_part : cos_part};
}

// The float nearest to sin and cos, but for ties closer than the error above.
inline float sin_f32(float angle) {
    return static_cast<float>(sin_cos(angle).sin);
}
inline float cos_f32(float angle) {
    return static_cast<float>(sin_cos(angle).cos);
}

}  // namespace gq
