// bf16 in AVX2: the upper half of a float. In: panels as core/packing/codes_bf16.cpp draws them. Out: gemv
// and unpack_f32. Must not know integer codes.
#include "cpu_simd/gemv_floats_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileBf16 : Tile16 {
    GQ_INLINE __m256 rows(const std::byte* input, int half) {
        const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(input) + half);
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_bf16_avx2{
    "gemv_bf16_avx2",
    "avx2",
    "bf16",
    {.gemv = gemv_floats<LinearFloats, TileBf16>, .unpack_f32 = unpack_tiles<TileBf16>}};

}  // namespace gq
