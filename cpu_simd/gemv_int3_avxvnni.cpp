// int3 in AVX-VNNI: words as AVX2 spreads them, multiplied by vpdpbusd.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv; the walk is linear_ymm.h's, and AVX2 unpacks.
// Must not know scales.
#include "cpu_simd/linear_avxvnni.h"

namespace gq {

extern const KernelVariant gemv_int3_avxvnni{
    "gemv_int3_avxvnni", "avxvnni", "int3", {.gemv = gemv<avxvnni::Linear, avx2::TileInt3>}};

}  // namespace gq
