// Prefill in AVX-512: 32 rows x 6 tokens stand in registers, so that a word of codes is read once for 6 tokens and one
// of activations once for 2 panels; 16 x 12 is a tenth slower on Sapphire Rapids, which has two units for vpdpbusd.
// In: panels in 8-bit layout and any number of tokens. Out: y, the same bits as gemv; the walk is linear.h's.
// vpdpbusd adds exact products to 32 bits, so 8-bit codes need no other way than 4-bit ones. Must not know which codes
// were expanded.
#include "cpu_simd/linear_avx512.h"

namespace gq {

extern const KernelVariant gemm_u8s8_avx512{
    "gemm_u8s8_avx512",
    "avx512",
    nullptr,
    {.gemm_u8s8 = gemm_u8s8<avx512::Linear, avx512::TileU8, panel_pair, 6, 2, 1>}};

}  // namespace gq
