// int6 in AVX-VNNI: words as AVX2 spreads them, multiplied by vpdpbusd.
// In: tiles as core/packing/codes_int6.cpp draws them. Out: gemv; the walk is linear_ymm.h's, and AVX2 unpacks.
// Must not know scales.
#include "cpu_simd/linear_avxvnni.h"

namespace gq {

extern const KernelVariant gemv_int6_avxvnni{
    "gemv_int6_avxvnni", "avxvnni", "int6", {.gemv = gemv<avxvnni::Linear, avx2::TileInt6>}};

}  // namespace gq
