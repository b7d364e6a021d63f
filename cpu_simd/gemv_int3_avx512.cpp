// int3 in AVX-512: a word is put together from the plane of 2 bits, as int2, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv and unpack; the walk is linear_avx512.h's.
// Must not know scales.
#include "cpu_simd/linear_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileInt3 {
    using Low = BitPlane<2>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    // Low plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    // High plane: bit p belongs to inputs 4p ….
    GQ_INLINE __m512i word(const std::byte* tile, int j) {
        const __m512i low = avx512::load_vector<Low>(tile, j % 2);
        const __m512i high = avx512::load_vector<High>(tile + Low::bytes, 0);
        const __m512i bit = j < 2 ? avx512::shift_left(high, 2 - j) : avx512::shift_right(high, j - 2);
        return _mm512_or_si512(_mm512_and_si512(avx512::shift_right(low, j / 2 * 2), _mm512_set1_epi8(3)),
                               _mm512_and_si512(bit, _mm512_set1_epi8(4)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int3_avx512{
    "gemv_int3_avx512", "avx512", "int3", {.gemv = gemv<avx512::Linear, TileInt3>, .unpack = avx512::unpack<TileInt3>}};

}  // namespace gq
