// widen_k and widen_v of q4 in AVX2 (widen_groups_avx2.h): a code byte is two integers + 8, the lower half first.
// In: a block (kv_q4.cpp). Out: its panels of floats. Must not know keys from values.
#include "cpu_simd/widen_groups_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct Int4 {
    static constexpr size_t bytes = kv_group / 2;
    static avx2::Integers integers(const std::byte* at, size_t part) {
        const __m128i codes = avx2::load_16(at), half = part == 0 ? codes : _mm_srli_epi16(codes, 4);
        const __m128i values = _mm_sub_epi8(_mm_and_si128(half, _mm_set1_epi8(15)), _mm_set1_epi8(8));
        return {_mm256_cvtepi8_epi32(values), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(values, values))};
    }
};

GQ_TARGET_END

using Widen = WidenGroups<avx2::GroupLanes<Int4>>;

}  // namespace

extern const KernelVariant widen_q4_avx2{
    "widen_q4_avx2", "avx2", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q4"};

}  // namespace gq
