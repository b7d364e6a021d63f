// bf16 in AVX-512: the upper half of a float.
// In: panels as core/packing/codes_bf16.cpp draws them. Out: gemv. Must not know integer codes.
#include "cpu_simd/gemv_floats_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileBf16 : Tile16 {
    GQ_INLINE __m512 rows(const std::byte* input) {
        const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(input));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_bf16_avx512{
    "gemv_bf16_avx512", "avx512", "bf16", {.gemv = gemv_floats<LinearFloats, TileBf16>}};

}  // namespace gq
