// int8 in AVX-512: the stored tile is what vpdpbusd wants; nothing to spread.
// In: tiles as core/packing/codes_int8.cpp draws them. Out: gemv, and unpack as a plain copy.
// The walk is linear_avx512.h's. Must not know scales.
#include "cpu_simd/linear_avx512.h"

namespace gq {

extern const KernelVariant gemv_int8_avx512{
    "gemv_int8_avx512",
    "avx512",
    "int8",
    {.gemv = gemv<avx512::Linear, avx512::TileU8>, .unpack = avx512::unpack<avx512::TileU8>}};

}  // namespace gq
