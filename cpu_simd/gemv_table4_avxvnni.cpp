// table4 in AVX-VNNI: words as AVX2 spreads them, multiplied by vpdpbusd.
// In: tiles as core/packing/codes_table4.cpp draws them. Out: gemv; the walk is linear_ymm.h's, and AVX2 unpacks.
// Must not know scales.
#include "cpu_simd/linear_avxvnni.h"

namespace gq {

extern const KernelVariant gemv_table4_avxvnni{
    "gemv_table4_avxvnni", "avxvnni", "table4", {.gemv = gemv<avxvnni::Linear, avx2::TileTable4>}};

}  // namespace gq
