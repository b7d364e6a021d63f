// int6 in NEON: a word is put together from the plane of 4 bits, as int4, and two bits of the plane of 2 bits.
// In: tiles as core/packing/codes_int6.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt6 {
    using Low = BitPlane<4>;
    using High = BitPlane<2>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr int bias = 0;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        const uint8x16_t both = neon::load_quarter<Low>(tile, j % 4, q);
        const uint8x16_t low = j < 4 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4);
        const uint8x16_t high = neon::shift_right<j / 2 * 2 - 4>(neon::load_quarter<High>(tile + Low::bytes, j % 2, q));
        return vorrq_u8(low, vandq_u8(high, vdupq_n_u8(48)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int6_neon{
    "gemv_int6_neon", "neon", "int6", {.gemv = gemv<neon::Linear, TileInt6>, .unpack = neon::unpack<TileInt6>}};

}  // namespace gq
