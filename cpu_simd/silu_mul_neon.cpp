// silu_mul in NEON: 4 gates at a time; those that are left go through a row of 16.
// In: gate and up. Out: gate / (1 + exp(-gate)) * up.
// Must not know shapes.
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

GQ_INLINE float32x4_t silu_mul_4(const float* gate, const float* up) {
    const float32x4_t g = vld1q_f32(gate), e = neon::exp_f32(vnegq_f32(g));
    return vmulq_f32(vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), e)), vld1q_f32(up));
}

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(out + i, silu_mul_4(gate + i, up + i));
    if (i == n) return;
    const neon::Sixteen last_gate = neon::tail_of(gate + i, n - i), last_up = neon::tail_of(up + i, n - i);
    float last[4];
    vst1q_f32(last, silu_mul_4(last_gate.numbers, last_up.numbers));
    __builtin_memcpy(out + i, last, (n - i) * sizeof *out);
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant silu_mul_neon{"silu_mul_neon", "neon", nullptr, {.silu_mul = silu_mul}};

}  // namespace gq
