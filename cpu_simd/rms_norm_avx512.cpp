// rms_norm in AVX-512: lane l sums the squares of x[l], x[l + 16], …; absent elements of the tail count as zeros.
// In: one row and the norm's weight. Out: the normalized row.
// Must not know models.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) {
    __m512 sums = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        const __m512 v = _mm512_maskz_loadu_ps(avx512::first_lanes(n - i), x + i);
        sums = _mm512_add_ps(sums, _mm512_mul_ps(v, v));
    }
    const float mean = avx512::sum_lanes(sums) / static_cast<float>(n);
    const float inverse = 1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + eps)));
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512::first_lanes(n - i);
        const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), _mm512_set1_ps(inverse));
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(lanes, weight + i)));
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant rms_norm_avx512{"rms_norm_avx512", "avx512", nullptr, {.rms_norm = rms_norm}};

}  // namespace gq
