// widen_k and widen_v of q8 in AVX-512 (widen_groups_avx512.h): a code byte is an integer.
// In: a block (kv_q8.cpp). Out: its panels of floats. Must not know keys from values.
#include "cpu_simd/widen_groups_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct Int8 {
    static constexpr size_t bytes = kv_group;
    GQ_INLINE __m512 floats(const std::byte* at, size_t) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(avx512::load_16(at)));
    }
};

GQ_TARGET_END

using Widen = WidenGroups<avx512::GroupLanes<Int8>>;

}  // namespace

extern const KernelVariant widen_q8_avx512{
    "widen_q8_avx512", "avx512", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q8"};

}  // namespace gq
