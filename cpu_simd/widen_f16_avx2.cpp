// widen_f16 in AVX2 and F16C: 8 halves at a time, the tail through a copy.
// In: halves at any address. Out: floats.
// Must not know what they stand for.
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

void widen_f16(const uint16_t* halves, size_t n, float* out) {
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
    if (i == n) return;
    uint16_t tail[8] = {};
    __builtin_memcpy(tail, halves + i, (n - i) * sizeof *tail);
    const __m256 widened = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tail)));
    _mm256_maskstore_ps(out + i, avx2::first_lanes(n - i), widened);
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant widen_f16_avx2{"widen_f16_avx2", "avx2", nullptr, {.widen_f16 = widen_f16}};

}  // namespace gq
