// rms_norm in AVX2: two vectors stand for the 16 lanes of the sum; absent elements of the tail count as zeros.
// In: one row and the norm's weight. Out: the normalized row.
// Must not know models.
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

// lanes += x², for the first n of 8.
GQ_INLINE __m256 add_squares(__m256 lanes, const float* x, size_t n) {
    const __m256 v = _mm256_maskload_ps(x, avx2::first_lanes(n));
    return _mm256_add_ps(lanes, _mm256_mul_ps(v, v));
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) {
    __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        low = add_squares(low, x + i, n - i);
        if (n - i > 8) high = add_squares(high, x + i + 8, n - i - 8);
    }
    const float mean = avx2::sum_lanes(low, high) / static_cast<float>(n);
    const float inverse = 1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + eps)));
    for (size_t i = 0; i < n; i += 8) {
        const __m256i lanes = avx2::first_lanes(n - i);
        const __m256 scaled = _mm256_mul_ps(_mm256_maskload_ps(x + i, lanes), _mm256_set1_ps(inverse));
        _mm256_maskstore_ps(out + i, lanes, _mm256_mul_ps(scaled, _mm256_maskload_ps(weight + i, lanes)));
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant rms_norm_avx2{"rms_norm_avx2", "avx2", nullptr, {.rms_norm = rms_norm}};

}  // namespace gq
