// quantize_q8 in NEON: a block of 32 is eight vectors; its largest magnitude is found among integers, as in the
// contract. In: rows of floats. Out: Q8Rows; blocks and elements past `cols` count as zeros. Must not know who
// multiplies with them.
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

// 16 rounded values as bytes, in order; no value is outside of [-127, 127].
GQ_INLINE int8x16_t bytes_of(const float* x, float inverse) {
    int16x4_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), inverse)));
    return vcombine_s8(vmovn_s16(vcombine_s16(words[0], words[1])), vmovn_s16(vcombine_s16(words[2], words[3])));
}

GQ_INLINE void quantize_block(const float* x, int8_t* values, float& scale, int16_t* sums) {
    int32x4_t largest = vdupq_n_s32(0);
    for (int i = 0; i < 8; ++i)
        largest = vmaxq_s32(largest, vandq_s32(vreinterpretq_s32_f32(vld1q_f32(x + 4 * i)), vdupq_n_s32(0x7fffffff)));
    const int m_bits = vmaxvq_s32(largest);
    const bool usable = m_bits >= q8_steps::smallest_bits && m_bits < q8_steps::infinity_bits;
    const float m = __builtin_bit_cast(float, m_bits);
    scale = usable ? m / 127.0f : m_bits < q8_steps::infinity_bits ? 0.0f : q8_steps::not_a_number;
    for (int half = 0; half < 2; ++half) {
        const int8x16_t bytes = usable ? bytes_of(x + 16 * half, 127.0f / m) : vdupq_n_s8(0);
        vst1q_s8(values + 16 * half, bytes);
        sums[half] = vaddlvq_s8(bytes);
    }
}

void quantize_q8(const float* x, size_t x_stride, size_t n_tokens, size_t cols, const Q8Rows& out) {
    for (size_t t = 0; t < n_tokens; ++t) {
        const float* row = x + t * x_stride;
        for (size_t b = 0; b < out.n_blocks; ++b) {
            const size_t k = b * q8_block, left = k < cols ? cols - k : 0, i = t * out.n_blocks + b;
            float last[q8_block] = {};
            if (left < q8_block) __builtin_memcpy(last, row + k, left * sizeof *last);
            quantize_block(left < q8_block ? last : row + k, out.values + i * q8_block, out.scales[i],
                           out.sums + i * 2);
        }
    }
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant quantize_q8_neon{"quantize_q8_neon", "neon", nullptr, {.quantize_q8 = quantize_q8}};

}  // namespace gq
