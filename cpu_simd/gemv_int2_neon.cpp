// int2 in NEON: a word of 16 codes of 2 bits gives four words of 4 codes, by a shift and a mask each.
// In: tiles as core/packing/codes_int2.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales. Tables of partial sums instead (T-MAC) take more: for one bit of 16 rows and 4 inputs 0.75 for
// the indices, 2 tbl, since a sum has 10 bits, and 4 to interleave and add the halves: 6.75 for 32 weights. Here 16
// weights take 2.75.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt2 {
    using Plane = BitPlane<2>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr int bias = 0;
    // Vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        return vandq_u8(neon::shift_right<j / 2 * 2>(neon::load_quarter<Plane>(tile, j % 2, q)), vdupq_n_u8(3));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int2_neon{
    "gemv_int2_neon", "neon", "int2", {.gemv = gemv<neon::Linear, TileInt2>, .unpack = neon::unpack<TileInt2>}};

}  // namespace gq
