// silu_mul in AVX-512: 16 gates at a time, the tail under a mask.
// In: gate and up. Out: gate / (1 + exp(-gate)) * up.
// Must not know shapes.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512::first_lanes(n - i);
        const __m512 g = _mm512_maskz_loadu_ps(lanes, gate + i), u = _mm512_maskz_loadu_ps(lanes, up + i);
        const __m512 e = avx512::exp_f32(_mm512_xor_ps(g, _mm512_set1_ps(-0.0f)));
        const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_mul_ps(silu, u));
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant silu_mul_avx512{"silu_mul_avx512", "avx512", nullptr, {.silu_mul = silu_mul}};

}  // namespace gq
