// silu_mul in AVX2: 8 gates at a time, the tail under a mask.
// In: gate and up. Out: gate / (1 + exp(-gate)) * up.
// Must not know shapes.
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
    for (size_t i = 0; i < n; i += 8) {
        const __m256i lanes = avx2::first_lanes(n - i);
        const __m256 g = _mm256_maskload_ps(gate + i, lanes), u = _mm256_maskload_ps(up + i, lanes);
        const __m256 e = avx2::exp_f32(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
        const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
        _mm256_maskstore_ps(out + i, lanes, _mm256_mul_ps(silu, u));
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant silu_mul_avx2{"silu_mul_avx2", "avx2", nullptr, {.silu_mul = silu_mul}};

}  // namespace gq
