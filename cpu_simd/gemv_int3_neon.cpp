// int3 in NEON: a word is put together from the plane of 2 bits, as int2, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt3 {
    using Low = BitPlane<2>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr int bias = 0;
    // Low plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    // High plane: bit p belongs to inputs 4p ….
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        const uint8x16_t low =
            vandq_u8(neon::shift_right<j / 2 * 2>(neon::load_quarter<Low>(tile, j % 2, q)), vdupq_n_u8(3));
        const uint8x16_t high = neon::shift_right<j - 2>(neon::load_quarter<High>(tile + Low::bytes, 0, q));
        return vorrq_u8(low, vandq_u8(high, vdupq_n_u8(4)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int3_neon{
    "gemv_int3_neon", "neon", "int3", {.gemv = gemv<neon::Linear, TileInt3>, .unpack = neon::unpack<TileInt3>}};

}  // namespace gq
