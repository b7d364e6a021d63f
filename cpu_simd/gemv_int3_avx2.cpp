// int3 in AVX2: a word is put together from the plane of 2 bits, as int2, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales. Tables of partial sums (see gemv_int2_avx2.cpp) would take 0.22 instructions a weight where
// this takes 0.25, and 8 bytes of first-level cache for every input.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int3_avx2{
    "gemv_int3_avx2",
    "avx2",
    "int3",
    {.gemv = gemv<avx2::Linear, avx2::TileInt3>, .unpack = avx2::unpack<avx2::TileInt3>}};

}  // namespace gq
