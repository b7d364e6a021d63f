// int3 in AVX2: a word is put together from the plane of 2 bits, as int2, and one bit of the plane of 1 bit.
// In: tiles as core/packing/codes_int3.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales. Tables of partial sums (see gemv_int2_avx2.cpp) would take 0.22 instructions a weight where
// this takes 0.25, and 8 bytes of first-level cache for every input.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt3 {
    using Low = BitPlane<2>;
    using High = BitPlane<1>;
    static constexpr size_t bytes = Low::bytes + High::bytes;
    static constexpr unsigned bits = 3;
    // Two words are put together at once, i in the low nibbles and i + 4 in the high ones: inputs 4i … and 16 + 4i ….
    // Low plane: vector i % 2 holds them in slots i / 2 and i / 2 + 2. High plane: in bits i and i + 4.
    GQ_INLINE __m256i pair(const std::byte* tile, int i, int half) {
        const __m256i low = avx2::load_half<Low>(tile, i % 2, half);
        const __m256i high = avx2::load_half<High>(tile + Low::bytes, 0, half);
        const __m256i bits = i < 2 ? avx2::shift_left(high, 2 - i) : i > 2 ? avx2::shift_right(high, i - 2) : high;
        const __m256i two = i < 2 ? low : avx2::shift_right(low, 2);
        return _mm256_or_si256(_mm256_and_si256(two, _mm256_set1_epi8(0x33)),
                               _mm256_and_si256(bits, _mm256_set1_epi8(0x44)));
    }
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = pair(tile, j % 4, half);
        return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int3_avx2{
    "gemv_int3_avx2", "avx2", "int3", {.gemv = gemv<avx2::Linear, TileInt3>, .unpack = avx2::unpack<TileInt3>}};

}  // namespace gq
