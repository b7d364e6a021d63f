// int5 in AVX2: a word is put together from the plane of 4 bits, as int4, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int5.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt5 {
    using Low = BitPlane<4>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 5;
    // Low plane: low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    // High plane: bit p belongs to inputs 4p ….
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = avx2::load_half<Low>(tile, j % 4, half);
        const __m256i low = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        const __m256i high = avx2::load_half<High>(tile + Low::bytes, 0, half);
        const __m256i moved = j < 4 ? avx2::shift_left(high, 4 - j) : avx2::shift_right(high, j - 4);
        return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(16)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int5_avx2{
    "gemv_int5_avx2", "avx2", "int5", {.gemv = gemv<avx2::Linear, TileInt5>, .unpack = avx2::unpack<TileInt5>}};

}  // namespace gq
