// widen_k and widen_v of q4 in AVX-512 (widen_groups_avx512.h): half a code byte, the lower one first, is the place of
// a float in a register that holds all 16. In: a block (kv_q4.cpp). Out: its panels of floats. Must not know keys from
// values.
#include "cpu_simd/widen_groups_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct Int4 {
    static constexpr size_t bytes = kv_group / 2;
    // vpermps looks at the lowest 4 bits of a place.
    GQ_INLINE __m512 floats(const std::byte* at, size_t part) {
        const __m512 values = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
        const __m512i places = _mm512_cvtepu8_epi32(avx512::load_16(at));
        return _mm512_permutexvar_ps(part == 0 ? places : _mm512_srli_epi32(places, 4), values);
    }
};

GQ_TARGET_END

using Widen = WidenGroups<avx512::GroupLanes<Int4>>;

}  // namespace

extern const KernelVariant widen_q4_avx512{
    "widen_q4_avx512", "avx512", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q4"};

}  // namespace gq
