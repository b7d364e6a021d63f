// int2 in AVX2: a word of 16 codes of 2 bits gives four words of 4 codes, by a shift and a mask each.
// In: tiles as core/packing/codes_int2.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales. Tables of partial sums instead (T-MAC) take as many instructions: for one bit of 32 rows and 4
// inputs 1.5 for the indices, 2 shuffles and 2 loads of their tables, since a sum has 10 bits, and 4 to interleave and
// add the halves: 9.5 for 64 weights. Here 32 weights take 4.25 and half a broadcast.
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileInt2 {
    using Plane = BitPlane<2>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 2;
    // Vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i vector = avx2::load_half<Plane>(tile, j % 2, half);
        return _mm256_and_si256(avx2::shift_right(vector, j / 2 * 2), _mm256_set1_epi8(3));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int2_avx2{
    "gemv_int2_avx2", "avx2", "int2", {.gemv = gemv<avx2::Linear, TileInt2>, .unpack = avx2::unpack<TileInt2>}};

}  // namespace gq
