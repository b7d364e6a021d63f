// int4 in NEON: a word of 8 nibbles gives two words of 4 codes, by one mask and one shift.
// In: tiles as core/packing/codes_int4.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr int bias = 0;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        const uint8x16_t both = neon::load_quarter<Plane>(tile, j % 4, q);
        return j < 4 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4);
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int4_neon{
    "gemv_int4_neon", "neon", "int4", {.gemv = gemv<neon::Linear, TileInt4>, .unpack = neon::unpack<TileInt4>}};

}  // namespace gq
