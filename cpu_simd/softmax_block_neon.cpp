// softmax_block in NEON: 64 scores in 16 vectors, each under the mask of its visible keys; exp runs over all of them.
// In: scores of one query row. Out: exp(score * scale - max), max and sum, in the scalar order of the sum. Must not
// know heads or pages.
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

constexpr int n_vectors = kv_page_positions / 4;

GQ_TARGET_NEON

// All ones in lanes i where first <= i < last; both may lie outside of 0 … 4.
GQ_INLINE uint32x4_t lanes_between(int first, int last) {
    constexpr int32_t lanes[4] = {0, 1, 2, 3};
    const int32x4_t i = vld1q_s32(lanes);
    return vandq_u32(vcgeq_s32(i, vdupq_n_s32(first)), vcltq_s32(i, vdupq_n_s32(last)));
}

SoftmaxPart softmax_block(float* scores, size_t first, size_t last, float scale) {
    const float32x4_t none = vdupq_n_f32(-__builtin_inff());
    uint32x4_t visible[n_vectors];
    float32x4_t scaled[n_vectors], max = none, sums[neon::quarters] = {};
    for (int v = 0; v < n_vectors; ++v) {
        visible[v] = lanes_between(static_cast<int>(first) - 4 * v, static_cast<int>(last) - 4 * v);
        scaled[v] = vmulq_n_f32(vld1q_f32(scores + 4 * v), scale);
        max = vmaxnmq_f32(max, vbslq_f32(visible[v], scaled[v], none));  // the number where one of the two is NaN
    }
    const float top = vmaxnmvq_f32(max) + 0.0f;
    for (int v = 0; v < n_vectors; ++v) {
        const float32x4_t e = neon::exp_f32(vsubq_f32(scaled[v], vdupq_n_f32(top)));
        const float32x4_t kept = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(e), visible[v]));
        vst1q_f32(scores + 4 * v, kept);
        sums[v % neon::quarters] = vaddq_f32(sums[v % neon::quarters], kept);
    }
    return {top, neon::sum_lanes(sums)};
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant softmax_block_neon{"softmax_block_neon", "neon", nullptr, {.softmax_block = softmax_block}};

}  // namespace gq
