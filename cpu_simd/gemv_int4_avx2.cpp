// int4 in AVX2: a word of 8 nibbles gives two words of 4 codes, by one mask each and one shift.
// In: tiles as core/packing/codes_int4.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int4_avx2{
    "gemv_int4_avx2",
    "avx2",
    "int4",
    {.gemv = gemv<avx2::Linear, avx2::TileInt4>, .unpack = avx2::unpack<avx2::TileInt4>}};

}  // namespace gq
