// widen_f16 in AVX-512: 16 halves at a time, the tail under a mask.
// In: halves at any address. Out: floats.
// Must not know what they stand for.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

void widen_f16(const uint16_t* halves, size_t n, float* out) {
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512::first_lanes(n - i);
        _mm512_mask_storeu_ps(out + i, lanes, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, halves + i)));
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant widen_f16_avx512{"widen_f16_avx512", "avx512", nullptr, {.widen_f16 = widen_f16}};

}  // namespace gq
