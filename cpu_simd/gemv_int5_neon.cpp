// int5 in NEON: a word is put together from the plane of 4 bits, as int4, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int5.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt5 {
    using Low = BitPlane<4>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr int bias = 0;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: bit p belongs to inputs 4p ….
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        const uint8x16_t both = neon::load_quarter<Low>(tile, j % 4, q);
        const uint8x16_t low = j < 4 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4);
        const uint8x16_t high = neon::shift_right<j - 4>(neon::load_quarter<High>(tile + Low::bytes, 0, q));
        return vorrq_u8(low, vandq_u8(high, vdupq_n_u8(16)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int5_neon{
    "gemv_int5_neon", "neon", "int5", {.gemv = gemv<neon::Linear, TileInt5>, .unpack = neon::unpack<TileInt5>}};

}  // namespace gq
