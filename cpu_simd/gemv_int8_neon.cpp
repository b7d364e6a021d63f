// int8 in NEON: the stored tile is the 8-bit layout itself; 128 less is a signed byte.
// In: tiles as core/packing/codes_int8.cpp draws them. Out: gemv; the walk is linear_neon.h's.
// Must not know scales.
#include "cpu_simd/linear_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct TileInt8 {
    static constexpr size_t bytes = U8Plane::bytes;
    static constexpr int bias = 128;
    template <int j>
    GQ_INLINE uint8x16_t word(const std::byte* tile, int q) {
        return veorq_u8(neon::load_quarter<U8Plane>(tile, j, q), vdupq_n_u8(0x80));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int8_neon{"gemv_int8_neon", "neon", "int8", {.gemv = gemv<neon::Linear, TileInt8>}};

}  // namespace gq
