// Prefill in NEON with dot product: one panel x 3 tokens stand in registers, 12 dots and 12 sums of floats, so that a
// word of codes is read once for 3 tokens.
// In: panels in 8-bit layout and any number of tokens. Out: y, the same bits as gemv; the walk is linear.h's.
// The only thing it knows of the original codes is whether they fit into signed bytes.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

template <class Tile>
constexpr GemmU8S8Fn multiply = gemm_u8s8<neon::Linear, Tile, 1, 3, 2, 1>;

void gemm(const LinearArgs& args, const uint8_t* panels_u8) {
    (args.weights->codes->value_bits <= 7 ? multiply<neon::TileU7> : multiply<neon::TileU8>)(args, panels_u8);
}

}  // namespace

extern const KernelVariant gemm_u8s8_neon{"gemm_u8s8_neon", "neon", nullptr, {.gemm_u8s8 = gemm}};

}  // namespace gq
