// int6 in AVX2: a word is put together from the plane of 4 bits, as int4, and two bits of the plane of 2 bits.
// In: tiles as core/packing/codes_int6.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt6 {
    using Low = BitPlane<4>;
    using High = BitPlane<2>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 6;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = avx2::load_half<Low>(tile, j % 4, half);
        const __m256i low = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        const __m256i high = avx2::load_half<High>(tile + Low::bytes, j % 2, half);
        const __m256i moved = j < 4 ? avx2::shift_left(high, 4 - j / 2 * 2) : avx2::shift_right(high, j / 2 * 2 - 4);
        return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(48)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int6_avx2{
    "gemv_int6_avx2", "avx2", "int6", {.gemv = gemv<avx2::Linear, TileInt6>, .unpack = avx2::unpack<TileInt6>}};

}  // namespace gq
