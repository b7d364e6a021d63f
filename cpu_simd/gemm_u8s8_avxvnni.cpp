// Prefill in AVX-VNNI: a panel x 6 tokens stand in 12 of the 16 registers, so that a word of codes is read once for 6
// tokens; 4 tokens are a twentieth slower on Sapphire Rapids.
// In: panels in 8-bit layout and any number of tokens. Out: y, the same bits as gemv; the walk is linear.h's.
// Must not know which codes were expanded.
#include "cpu_simd/linear_avxvnni.h"

namespace gq {

extern const KernelVariant gemm_u8s8_avxvnni{
    "gemm_u8s8_avxvnni", "avxvnni", nullptr, {.gemm_u8s8 = gemm_u8s8<avxvnni::Linear, avx2::TileU8<8>, 1, 6, 2, 1>}};

}  // namespace gq
