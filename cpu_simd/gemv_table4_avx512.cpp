// table4 in AVX-512: nibbles as int4 spreads them, each looked up among 16 bytes.
// In: tiles as core/packing/codes_table4.cpp draws them. Out: gemv and unpack; the walk is linear_avx512.h's.
// Must not know scales.
#include "core/packing/table4_values.h"
#include "cpu_simd/linear_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileTable4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m512i word(const std::byte* tile, int j) {
        const __m512i both = avx512::load_vector<Plane>(tile, j % 4);
        const __m512i indices = _mm512_and_si512(j < 4 ? both : _mm512_srli_epi16(both, 4), _mm512_set1_epi8(15));
        return _mm512_shuffle_epi8(
            _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table4_values))), indices);
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_table4_avx512{
    "gemv_table4_avx512",
    "avx512",
    "table4",
    {.gemv = gemv<avx512::Linear, TileTable4>, .unpack = avx512::unpack<TileTable4>}};

}  // namespace gq
