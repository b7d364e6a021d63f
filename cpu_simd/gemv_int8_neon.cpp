// int8 in NEON: the stored tile is the 8-bit layout itself; 128 less is a signed byte.
// In: tiles as core/packing/codes_int8.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
extern const KernelVariant gemv_int8_neon{
    "gemv_int8_neon", "neon", "int8", {.gemv = gemv<neon::Linear, neon::TileU8>, .unpack = neon::unpack<neon::TileU8>}};

}  // namespace gq
