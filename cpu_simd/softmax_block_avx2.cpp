// softmax_block in AVX2: 64 scores in 8 vectors, each under the mask of its visible keys; exp runs over all of them.
// In: scores of one query row. Out: exp(score * scale - max), max and sum, in the scalar order of the sum. Must not
// know heads or pages.
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

constexpr int n_vectors = kv_page_positions / 8;

GQ_TARGET_AVX2

GQ_INLINE float largest_lane(__m256 v) {
    const __m128 by_4 = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 by_2 = _mm_max_ps(by_4, _mm_movehl_ps(by_4, by_4));
    return _mm_cvtss_f32(_mm_max_ss(by_2, _mm_movehdup_ps(by_2)));
}

SoftmaxPart softmax_block(float* scores, size_t first, size_t last, float scale) {
    const __m256 none = _mm256_set1_ps(-__builtin_inff());
    __m256 scaled[n_vectors], visible[n_vectors], max = none, sums[2] = {};
    for (int v = 0; v < n_vectors; ++v) {
        visible[v] =
            _mm256_castsi256_ps(avx2::lanes_between(static_cast<int>(first) - 8 * v, static_cast<int>(last) - 8 * v));
        scaled[v] = _mm256_mul_ps(_mm256_loadu_ps(scores + 8 * v), _mm256_set1_ps(scale));
        max = _mm256_max_ps(_mm256_blendv_ps(none, scaled[v], visible[v]), max);  // max where the score is NaN
    }
    const float top = largest_lane(max) + 0.0f;
    for (int v = 0; v < n_vectors; ++v) {
        const __m256 e = avx2::exp_f32(_mm256_sub_ps(scaled[v], _mm256_set1_ps(top)));
        const __m256 kept = _mm256_and_ps(e, visible[v]);
        _mm256_storeu_ps(scores + 8 * v, kept);
        sums[v % 2] = _mm256_add_ps(sums[v % 2], kept);
    }
    return {top, avx2::sum_lanes(sums[0], sums[1])};
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant softmax_block_avx2{"softmax_block_avx2", "avx2", nullptr, {.softmax_block = softmax_block}};

}  // namespace gq
