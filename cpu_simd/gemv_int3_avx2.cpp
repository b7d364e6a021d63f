// int3 in AVX2: a word is put together from the plane of 2 bits, as int2, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt3 {
    using Low = BitPlane<2>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 3;
    // Low plane: vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    // High plane: bit p belongs to inputs 4p ….
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i low = avx2::load_half<Low>(tile, j % 2, half);
        const __m256i high = avx2::load_half<High>(tile + Low::bytes, 0, half);
        const __m256i bit = j < 2 ? avx2::shift_left(high, 2 - j) : avx2::shift_right(high, j - 2);
        return _mm256_or_si256(_mm256_and_si256(avx2::shift_right(low, j / 2 * 2), _mm256_set1_epi8(3)),
                               _mm256_and_si256(bit, _mm256_set1_epi8(4)));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int3_avx2{
    "gemv_int3_avx2", "avx2", "int3", {.gemv = gemv<avx2::Linear, TileInt3>, .unpack = avx2::unpack<TileInt3>}};

}  // namespace gq
