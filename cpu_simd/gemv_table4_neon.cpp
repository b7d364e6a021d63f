// table4 in NEON: nibbles as int4 spreads them, each looked up among 16 bytes.
// In: tiles as core/packing/codes_table4.cpp draws them. Out: gemv, unpack; the walk is linear_neon.h's.
// Must not know scales.
#include "core/packing/table4_values.h"
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileTable4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr int bias = 128;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        const uint8x16_t both = neon::load_quarter<Plane>(tile, j % 4, q);
        const uint8x16_t indices = j < 4 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4);
        return veorq_u8(vqtbl1q_u8(vld1q_u8(table4_values), indices), vdupq_n_u8(0x80));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_table4_neon{
    "gemv_table4_neon", "neon", "table4", {.gemv = gemv<neon::Linear, TileTable4>, .unpack = neon::unpack<TileTable4>}};

}  // namespace gq
