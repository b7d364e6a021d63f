// rms_norm in NEON: four vectors stand for the 16 lanes of the sum; absent elements of the tail count as zeros.
// In: one row and the norm's weight. Out: the normalized row.
// Must not know models.
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

using neon::quarters;

GQ_INLINE void add_squares(const float* x, float32x4_t (&lanes)[quarters]) {
    for (int q = 0; q < quarters; ++q) {
        const float32x4_t v = vld1q_f32(x + 4 * q);
        lanes[q] = vaddq_f32(lanes[q], vmulq_f32(v, v));
    }
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) {
    float32x4_t lanes[quarters] = {};
    const size_t whole = n - n % 16;
    for (size_t i = 0; i < whole; i += 16) add_squares(x + i, lanes);
    if (whole < n) add_squares(neon::tail_of(x + whole, n - whole).numbers, lanes);
    const float mean = neon::sum_lanes(lanes) / static_cast<float>(n);
    const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(out + i, vmulq_f32(vmulq_f32(vld1q_f32(x + i), vdupq_n_f32(inverse)), vld1q_f32(weight + i)));
    for (; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant rms_norm_neon{"rms_norm_neon", "neon", nullptr, {.rms_norm = rms_norm}};

}  // namespace gq
