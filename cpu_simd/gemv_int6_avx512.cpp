// int6 in AVX-512: a word is put together from the plane of 4 bits, as int4, and two bits of the plane of 2 bits.
// In: tiles as core/packing/codes_int6.cpp draws them. Out: gemv and unpack; the walk is linear_avx512.h's.
// Must not know scales.
#include "cpu_simd/linear_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileInt6 {
    using Low = BitPlane<4>;
    using High = BitPlane<2>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m512i word(const std::byte* tile, int j) {
        const __m512i both = avx512::load_vector<Low>(tile, j % 4);
        const __m512i low = _mm512_and_si512(j < 4 ? both : _mm512_srli_epi16(both, 4), _mm512_set1_epi8(15));
        const __m512i high = avx512::load_vector<High>(tile + Low::bytes, j % 2);
        const __m512i moved =
            j < 4 ? avx512::shift_left(high, 4 - j / 2 * 2) : avx512::shift_right(high, j / 2 * 2 - 4);
        return _mm512_or_si512(low, _mm512_and_si512(moved, _mm512_set1_epi8(48)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int6_avx512{
    "gemv_int6_avx512", "avx512", "int6", {.gemv = gemv<avx512::Linear, TileInt6>, .unpack = avx512::unpack<TileInt6>}};

}  // namespace gq
