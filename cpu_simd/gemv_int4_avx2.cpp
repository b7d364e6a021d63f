// int4 in AVX2: a word of 8 nibbles gives two words of 4 codes, by one mask each and one shift.
// In: tiles as core/packing/codes_int4.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 4;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = avx2::load_half<Plane>(tile, j % 4, half);
        return _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int4_avx2{
    "gemv_int4_avx2", "avx2", "int4", {.gemv = gemv<avx2::Linear, TileInt4>, .unpack = avx2::unpack<TileInt4>}};

}  // namespace gq
