// f16 in NEON.
// In: panels as core/packing/codes_f16.cpp draws them. Out: gemv, unpack. Must not know integer codes.
#include "cpu_simd/gemv_floats_neon.h"

namespace gq {
extern const KernelVariant gemv_f16_neon{
    "gemv_f16_neon", "neon", "f16", {.gemv = gemv_floats<LinearFloats, TileF16>, .unpack_f32 = unpack_tiles<TileF16>}};

}  // namespace gq
