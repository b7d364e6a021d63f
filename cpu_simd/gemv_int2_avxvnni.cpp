// int2 in AVX-VNNI: words as AVX2 spreads them, multiplied by vpdpbusd.
// In: tiles as core/packing/codes_int2.cpp draws them. Out: gemv; the walk is linear_ymm.h's, and AVX2 unpacks.
// Must not know scales.
#include "cpu_simd/linear_avxvnni.h"

namespace gq {

extern const KernelVariant gemv_int2_avxvnni{
    "gemv_int2_avxvnni", "avxvnni", "int2", {.gemv = gemv<avxvnni::Linear, avx2::TileInt2>}};

}  // namespace gq
