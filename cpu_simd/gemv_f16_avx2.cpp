// f16 in AVX2 and F16C. In: panels as core/packing/codes_f16.cpp draws them. Out: gemv and unpack_f32.
// Must not know integer codes.
#include "cpu_simd/gemv_floats_avx2.h"

namespace gq {
extern const KernelVariant gemv_f16_avx2{
    "gemv_f16_avx2", "avx2", "f16", {.gemv = gemv_floats<LinearFloats, TileF16>, .unpack_f32 = unpack_tiles<TileF16>}};

}  // namespace gq
