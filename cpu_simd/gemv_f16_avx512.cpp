// f16 in AVX-512.
// In: panels as core/packing/codes_f16.cpp draws them. Out: gemv. Must not know integer codes.
#include "cpu_simd/gemv_floats_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct TileF16 : Tile16 {
    GQ_INLINE __m512 rows(const std::byte* input) { return avx512::read_halves(input); }
};

GQ_TARGET_END

}  // namespace

extern const KernelVariant gemv_f16_avx512{
    "gemv_f16_avx512", "avx512", "f16", {.gemv = gemv_floats<LinearFloats, TileF16>}};

}  // namespace gq
