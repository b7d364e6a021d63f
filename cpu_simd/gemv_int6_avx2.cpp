// int6 in AVX2: a word is put together from the plane of 4 bits, as int4, and two bits of the plane of 2 bits.
// In: tiles as core/packing/codes_int6.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int6_avx2{
    "gemv_int6_avx2",
    "avx2",
    "int6",
    {.gemv = gemv<avx2::Linear, avx2::TileInt6>, .unpack = avx2::unpack<avx2::TileInt6>}};

}  // namespace gq
