// bf16 in NEON: the upper half of a float.
// In: panels as core/packing/codes_bf16.cpp draws them. Out: gemv, unpack. Must not know integer codes.
#include "cpu_simd/gemv_floats_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileBf16 : Tile16 {
    GQ_INLINE void rows(const std::byte* input, float32x4_t (&out)[neon::quarters]) {
        for (int q = 0; q < neon::quarters; ++q) {
            const uint8x8_t upper = vld1_u8(reinterpret_cast<const uint8_t*>(input) + 8 * q);
            out[q] = vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(upper), 16));
        }
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_bf16_neon{
    "gemv_bf16_neon",
    "neon",
    "bf16",
    {.gemv = gemv_floats<LinearFloats, TileBf16>, .unpack_f32 = unpack_tiles<TileBf16>}};

}  // namespace gq
