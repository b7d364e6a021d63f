// int8 in AVX2: the stored tile is the 8-bit layout itself; codes fill both nibbles.
// In: tiles as core/packing/codes_int8.cpp draws them. Out: gemv, and unpack as a plain copy.
// The walk is linear_avx2.h's. Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int8_avx2{
    "gemv_int8_avx2",
    "avx2",
    "int8",
    {.gemv = gemv<avx2::Linear, avx2::TileU8<8>>, .unpack = avx2::unpack<avx2::TileU8<8>>}};

}  // namespace gq
