// table4 in AVX2: nibbles as int4 spreads them, each looked up among 16 bytes.
// In: tiles as core/packing/codes_table4.cpp draws them. Out: gemv and unpack; the walk is linear_ymm.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {

extern const KernelVariant gemv_table4_avx2{
    "gemv_table4_avx2",
    "avx2",
    "table4",
    {.gemv = gemv<avx2::Linear, avx2::TileTable4>, .unpack = avx2::unpack<avx2::TileTable4>}};

}  // namespace gq
