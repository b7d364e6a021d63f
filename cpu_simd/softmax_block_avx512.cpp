// softmax_block in AVX-512: 64 scores in 4 vectors under one 64-bit mask of visible keys; exp runs over all of them.
// In: scores of one query row. Out: exp(score * scale - max), max and sum, in the scalar order of the sum. Must not
// know heads or pages.
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

constexpr size_t n_vectors = kv_page_positions / 16;

GQ_TARGET_AVX512

// Bits first … last - 1.
GQ_INLINE uint64_t visible_keys(size_t first, size_t last) {
    return first < last ? ~uint64_t{0} >> (64 - (last - first)) << first : 0;
}

SoftmaxPart softmax_block(float* scores, size_t first, size_t last, float scale) {
    const uint64_t visible = visible_keys(first, last);
    __m512 scaled[n_vectors], max = _mm512_set1_ps(-__builtin_inff()), sums = _mm512_setzero_ps();
    for (size_t v = 0; v < n_vectors; ++v) {
        scaled[v] = _mm512_mul_ps(_mm512_loadu_ps(scores + 16 * v), _mm512_set1_ps(scale));
        max = _mm512_mask_max_ps(max, static_cast<__mmask16>(visible >> (16 * v)), scaled[v], max);
    }
    const float top = _mm512_reduce_max_ps(max) + 0.0f;
    for (size_t v = 0; v < n_vectors; ++v) {
        const __m512 e = avx512::exp_f32(_mm512_sub_ps(scaled[v], _mm512_set1_ps(top)));
        const __m512 kept = _mm512_maskz_mov_ps(static_cast<__mmask16>(visible >> (16 * v)), e);
        _mm512_storeu_ps(scores + 16 * v, kept);
        sums = _mm512_add_ps(sums, kept);
    }
    return {top, avx512::sum_lanes(sums)};
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant softmax_block_avx512{
    "softmax_block_avx512", "avx512", nullptr, {.softmax_block = softmax_block}};

}  // namespace gq
