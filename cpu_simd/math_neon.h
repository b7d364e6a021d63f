// What several kernels share in NEON: exp, the sum over 16 lanes, rows of any length in steps of 16, halves.
// In and out: vectors of 4 floats. The same multiplications and additions as core/kernels/math.h and
// kernels_scalar.cpp, in their order, so that the bits are the same. Must not know who asks.
#pragma once

#include "core/kernels/math.h"
#include "cpu_simd/isa.h"

namespace gq::neon {

GQ_TARGET_NEON

constexpr int quarters = 4;  // of 16 lanes

// exp_f32 in 4 lanes; min and max keep a NaN.
GQ_INLINE float32x4_t exp_f32(float32x4_t x) {
    using namespace exp_steps;
    const int32x4_t bias = vdupq_n_s32(127), rounder_bits = vreinterpretq_s32_f32(vdupq_n_f32(rounder));
    x = vmaxq_f32(vminq_f32(x, vdupq_n_f32(highest)), vdupq_n_f32(lowest));
    const float32x4_t shifted = vaddq_f32(vmulq_f32(x, vdupq_n_f32(log2_e)), vdupq_n_f32(rounder));
    const float32x4_t n = vsubq_f32(shifted, vdupq_n_f32(rounder));
    float32x4_t r = vsubq_f32(x, vmulq_f32(n, vdupq_n_f32(ln2_high)));
    r = vsubq_f32(r, vmulq_f32(n, vdupq_n_f32(ln2_low)));
    float32x4_t tail = vaddq_f32(vmulq_f32(vdupq_n_f32(c4), r), vdupq_n_f32(c3));
    tail = vaddq_f32(vmulq_f32(tail, r), vdupq_n_f32(c2));
    tail = vaddq_f32(vmulq_f32(tail, r), vdupq_n_f32(c1));
    tail = vaddq_f32(vmulq_f32(tail, r), vdupq_n_f32(c0));
    const float32x4_t exp_r = vaddq_f32(vdupq_n_f32(1.0f), vaddq_f32(r, vmulq_f32(vmulq_f32(r, r), tail)));
    const int32x4_t n_int = vsubq_s32(vreinterpretq_s32_f32(shifted), rounder_bits);
    const int32x4_t half = vshrq_n_s32(n_int, 1), other_half = vsubq_s32(n_int, half);
    const float32x4_t power_1 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const float32x4_t power_2 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(other_half, bias), 23));
    return vmulq_f32(vmulq_f32(exp_r, power_1), power_2);
}

// Lane l += lane l + 8, then l + 4, l + 2, l + 1.
GQ_INLINE float sum_lanes(const float32x4_t (&lanes)[quarters]) {
    const float32x4_t by_4 = vaddq_f32(vaddq_f32(lanes[0], lanes[2]), vaddq_f32(lanes[1], lanes[3]));
    const float32x2_t by_2 = vadd_f32(vget_low_f32(by_4), vget_high_f32(by_4));
    return vget_lane_f32(vadd_f32(by_2, vdup_lane_f32(by_2, 1)), 0);
}

// 16 numbers of a row, of which `left` are left: zeros behind them.
struct Sixteen {
    float numbers[16];
};
GQ_INLINE Sixteen tail_of(const float* x, size_t left) {
    Sixteen tail = {};
    __builtin_memcpy(tail.numbers, x, left * sizeof *x);
    return tail;
}

// 4 halves as floats.
GQ_INLINE float32x4_t read_4_halves(const std::byte* halves) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(reinterpret_cast<const uint8_t*>(halves))));
}
// 16 halves as floats.
GQ_INLINE void read_halves(const std::byte* halves, float32x4_t (&out)[quarters]) {
    for (int q = 0; q < quarters; ++q) out[q] = read_4_halves(halves + 8 * q);
}
// 16 signed bytes as floats.
GQ_INLINE void read_bytes(int8x16_t bytes, float32x4_t (&out)[quarters]) {
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    out[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    out[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(low)));
    out[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    out[3] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)));
}

// y of one panel and token to the rows that exist.
GQ_INLINE void store_panel(const LinearArgs& args, size_t panel, size_t token, const float32x4_t (&y)[quarters]) {
    float rows[panel_rows];
    for (int q = 0; q < quarters; ++q) vst1q_f32(rows + 4 * q, y[q]);
    const size_t row = panel * panel_rows, left = args.weights->rows - row;
    __builtin_memcpy(args.y + token * args.y_stride + row, rows,
                     (left < panel_rows ? left : panel_rows) * sizeof *rows);
}

GQ_TARGET_END

}  // namespace gq::neon
