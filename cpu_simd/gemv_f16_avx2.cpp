// f16 in AVX2 and F16C. In: panels as core/packing/codes_f16.cpp draws them. Out: gemv_floats_avx2.h's kernels.
// Must not know integer codes.
#include "cpu_simd/gemv_floats_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct TileF16 {
    static constexpr size_t bytes = tile_values * sizeof(uint16_t);
    static constexpr size_t input_bytes = panel_rows * sizeof(uint16_t);
    GQ_INLINE __m256 rows(const std::byte* input, int half) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(input) + half));
    }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_f16_avx2{
    "gemv_f16_avx2", "avx2", "f16", {.gemv = gemv_floats<LinearFloats, TileF16>, .unpack_f32 = unpack_tiles<TileF16>}};

}  // namespace gq
