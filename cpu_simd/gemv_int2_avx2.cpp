// int2 in AVX2: a word of 16 codes of 2 bits gives four words of 4 codes, by a shift and a mask each.
// In: tiles as core/packing/codes_int2.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales. Tables of partial sums instead (T-MAC) take as many instructions: for one bit of 32 rows and 4
// inputs 1.5 for the indices, 2 shuffles and 2 loads of their tables, since a sum has 10 bits, and 4 to interleave and
// add the halves: 9.5 for 64 weights. Here 32 weights take 4.25 and half a broadcast.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_int2_avx2{
    "gemv_int2_avx2",
    "avx2",
    "int2",
    {.gemv = gemv<avx2::Linear, avx2::TileInt2>, .unpack = avx2::unpack<avx2::TileInt2>}};

}  // namespace gq
