// quantize_q8 in AVX-512: a block of 32 is two vectors; its largest magnitude is found among integers, as in the
// contract. In: rows of floats. Out: Q8Rows; blocks and elements past `cols` count as zeros. Must not know who
// multiplies with them.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

GQ_INLINE int16_t sum_of(__m128i values) {
    const __m512i ones =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), _mm512_zextsi128_si512(values));
    return static_cast<int16_t>(_mm512_reduce_add_epi32(ones));
}

void quantize_block(__m512 low, __m512 high, int8_t* values, float& scale, int16_t* sums) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m512i largest = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                                             _mm512_and_si512(_mm512_castps_si512(high), magnitude));
    const int m_bits = _mm512_reduce_max_epi32(largest);
    const bool usable = m_bits >= q8_steps::smallest_bits && m_bits < q8_steps::infinity_bits;
    const float m = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(m_bits)));
    scale = usable ? m / 127.0f : m_bits < q8_steps::infinity_bits ? 0.0f : q8_steps::not_a_number;
    const __m512 inverse = _mm512_set1_ps(127.0f / m);
    const __mmask16 keep = usable ? 0xffff : 0;
    const __m128i low_q = _mm512_cvtepi32_epi8(_mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(low, inverse)));
    const __m128i high_q = _mm512_cvtepi32_epi8(_mm512_maskz_cvtps_epi32(keep, _mm512_mul_ps(high, inverse)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values), low_q);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values + 16), high_q);
    sums[0] = sum_of(low_q);
    sums[1] = sum_of(high_q);
}

void quantize_q8(const float* x, size_t x_stride, size_t n_tokens, size_t cols, const Q8Rows& out) {
    for (size_t t = 0; t < n_tokens; ++t) {
        const float* row = x + t * x_stride;
        for (size_t b = 0; b < out.n_blocks; ++b) {
            const size_t k = b * q8_block, i = t * out.n_blocks + b, left = k < cols ? cols - k : 0;
            const __m512 low = _mm512_maskz_loadu_ps(avx512::first_lanes(left), row + k);
            const __m512 high = _mm512_maskz_loadu_ps(avx512::first_lanes(left > 16 ? left - 16 : 0), row + k + 16);
            quantize_block(low, high, out.values + i * q8_block, out.scales[i], out.sums + i * 2);
        }
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant quantize_q8_avx512{"quantize_q8_avx512", "avx512", nullptr, {.quantize_q8 = quantize_q8}};

}  // namespace gq
