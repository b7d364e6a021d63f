// int5 in AVX2: a word is put together from the plane of 4 bits, as int4, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int5.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int5_avx2{
    "gemv_int5_avx2",
    "avx2",
    "int5",
    {.gemv = gemv<avx2::Linear, avx2::TileInt5>, .unpack = avx2::unpack<avx2::TileInt5>}};

}  // namespace gq
