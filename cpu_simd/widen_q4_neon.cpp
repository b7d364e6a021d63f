// widen_k and widen_v of q4 in NEON (widen_groups_neon.h): a code byte is two integers + 8, the lower half first.
// In: a block (kv_q4.cpp). Out: its panels of floats. Must not know keys from values.
#include "cpu_simd/widen_groups_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct Int4 {
    static constexpr size_t bytes = kv_group / 2;
    GQ_INLINE int8x16_t integers(uint8x16_t codes, size_t part) {
        const uint8x16_t half = part == 0 ? vandq_u8(codes, vdupq_n_u8(15)) : vshrq_n_u8(codes, 4);
        return vsubq_s8(vreinterpretq_s8_u8(half), vdupq_n_s8(8));
    }
};

GQ_TARGET_END

using Widen = WidenGroups<neon::GroupLanes<Int4>>;

}  // namespace

extern const KernelVariant widen_q4_neon{
    "widen_q4_neon", "neon", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q4"};

}  // namespace gq
