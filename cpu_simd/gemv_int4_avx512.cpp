// int4 in AVX-512: a word of 8 nibbles gives two words of 4 codes, by one mask each and one shift.
// In: tiles as core/packing/codes_int4.cpp draws them. Out: gemv and unpack; the walk is linear_avx512.h's.
// Must not know scales.
#include "cpu_simd/linear_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileInt4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m512i word(const std::byte* tile, int j) {
        const __m512i nibbles = avx512::load_vector<Plane>(tile, j % 4);
        return _mm512_and_si512(j < 4 ? nibbles : _mm512_srli_epi16(nibbles, 4), _mm512_set1_epi8(15));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_int4_avx512{
    "gemv_int4_avx512", "avx512", "int4", {.gemv = gemv<avx512::Linear, TileInt4>, .unpack = avx512::unpack<TileInt4>}};

}  // namespace gq
