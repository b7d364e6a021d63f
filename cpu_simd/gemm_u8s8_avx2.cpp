// Prefill in AVX2: half a panel x 4 tokens stand in registers, so that a word of codes is read once for 4 tokens.
// In: panels in 8-bit layout and any number of tokens. Out: y, the same bits as gemv; the walk is linear.h's.
// The only thing it knows of the original codes is their bits, which say how long sums fit into 16.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

template <unsigned bits>
constexpr GemmU8S8Fn multiply = gemm_u8s8<avx2::Linear, avx2::TileU8<bits>, 1, 4, 2, 1>;

void gemm(const LinearArgs& args, const uint8_t* panels_u8) {
    const unsigned bits = args.weights->codes->value_bits;
    (bits <= 4 ? multiply<4> : bits <= 6 ? multiply<6> : multiply<8>)(args, panels_u8);
}

}  // namespace

extern const KernelVariant gemm_u8s8_avx2{"gemm_u8s8_avx2", "avx2", nullptr, {.gemm_u8s8 = gemm}};

}  // namespace gq
