// int2 in AVX-512: a word of 16 codes of 2 bits gives four words of 4 codes, by a shift and a mask each.
// In: tiles as core/packing/codes_int2.cpp draws them. Out: gemv and unpack; the walk is linear_avx512.h's.
// Must not know scales.
#include "cpu_simd/linear_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileInt2 {
    using Plane = BitPlane<2>;
    static constexpr size_t bytes = Plane::bytes;
    // Vector j % 2 holds inputs 4 (j % 2) + 8p … in bits 2p and 2p + 1.
    GQ_INLINE __m512i word(const std::byte* tile, int j) {
        const __m512i vector = avx512::load_vector<Plane>(tile, j % 2);
        return _mm512_and_si512(avx512::shift_right(vector, j / 2 * 2), _mm512_set1_epi8(3));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int2_avx512{
    "gemv_int2_avx512", "avx512", "int2", {.gemv = gemv<avx512::Linear, TileInt2>, .unpack = avx512::unpack<TileInt2>}};

}  // namespace gq
