// quantize_q8 in AVX2: a block of 32 is four vectors; its largest magnitude is found among integers, as in the
// contract. In: rows of floats. Out: Q8Rows; blocks and elements past `cols` count as zeros. Must not know who
// multiplies with them.
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

GQ_INLINE int largest_lane(__m256i v) {
    const __m128i by_4 = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i by_2 = _mm_max_epi32(by_4, _mm_shuffle_epi32(by_4, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(by_2, _mm_shuffle_epi32(by_2, 0xb1)));
}

// 16 rounded values as bytes, in order. Packing saturates; no value is outside of [-127, 127].
GQ_INLINE __m128i bytes_of(__m256 low, __m256 high, __m256 inverse) {
    const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(low, inverse)),
                  b = _mm256_cvtps_epi32(_mm256_mul_ps(high, inverse));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

// sad adds unsigned bytes: 128 is added to each first, and taken from the sum.
GQ_INLINE int16_t sum_of(__m128i values) {
    const __m128i halves = _mm_sad_epu8(_mm_xor_si128(values, _mm_set1_epi8(-128)), _mm_setzero_si128());
    return static_cast<int16_t>(_mm_cvtsi128_si32(_mm_add_epi32(halves, _mm_unpackhi_epi64(halves, halves))) -
                                16 * 128);
}

void quantize_block(const __m256 (&x)[4], int8_t* values, float& scale, int16_t* sums) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (const __m256 v : x) largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(v), magnitude));
    const int m_bits = largest_lane(largest);
    const bool usable = m_bits >= q8_steps::smallest_bits && m_bits < q8_steps::infinity_bits;
    const float m = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(m_bits)));
    scale = usable ? m / 127.0f : m_bits < q8_steps::infinity_bits ? 0.0f : q8_steps::not_a_number;
    const __m256 inverse = _mm256_set1_ps(127.0f / m);
    for (int half = 0; half < 2; ++half) {
        const __m128i bytes = usable ? bytes_of(x[2 * half], x[2 * half + 1], inverse) : _mm_setzero_si128();
        _mm_storeu_si128(reinterpret_cast<__m128i*>(values + 16 * half), bytes);
        sums[half] = sum_of(bytes);
    }
}

void quantize_q8(const float* x, size_t x_stride, size_t n_tokens, size_t cols, const Q8Rows& out) {
    for (size_t t = 0; t < n_tokens; ++t) {
        const float* row = x + t * x_stride;
        for (size_t b = 0; b < out.n_blocks; ++b) {
            __m256 block[4];
            for (size_t v = 0; v < 4; ++v) {
                const size_t k = b * q8_block + 8 * v;
                block[v] = k < cols ? _mm256_maskload_ps(row + k, avx2::first_lanes(cols - k)) : _mm256_setzero_ps();
            }
            const size_t i = t * out.n_blocks + b;
            quantize_block(block, out.values + i * q8_block, out.scales[i], out.sums + i * 2);
        }
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant quantize_q8_avx2{"quantize_q8_avx2", "avx2", nullptr, {.quantize_q8 = quantize_q8}};

}  // namespace gq
