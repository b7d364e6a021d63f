// table4 in AVX2: nibbles as int4 spreads them, each looked up among 16 bytes.
// In: tiles as core/packing/codes_table4.cpp draws them. Out: gemv and unpack; the walk is linear_avx2.h's.
// Must not know scales.
#include "core/packing/table4_values.h"
#include "cpu_simd/linear_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileTable4 {
    using Plane = BitPlane<4>;
    static constexpr size_t bytes = Plane::bytes;
    static constexpr unsigned bits = 8;
    // Low nibbles are inputs 4j …, high nibbles 16 + 4j …: four words further.
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        const __m256i both = avx2::load_half<Plane>(tile, j % 4, half);
        const __m256i indices = _mm256_and_si256(j < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
        return _mm256_shuffle_epi8(
            _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table4_values))), indices);
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_table4_avx2{
    "gemv_table4_avx2", "avx2", "table4", {.gemv = gemv<avx2::Linear, TileTable4>, .unpack = avx2::unpack<TileTable4>}};

}  // namespace gq
