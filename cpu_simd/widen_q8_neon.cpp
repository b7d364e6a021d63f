// widen_k and widen_v of q8 in NEON (widen_groups_neon.h): a code byte is an integer.
// In: a block (kv_q8.cpp). Out: its panels of floats. Must not know keys from values.
#include "cpu_simd/widen_groups_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct Int8 {
    static constexpr size_t bytes = kv_group;
    GQ_INLINE int8x16_t integers(uint8x16_t codes, size_t) { return vreinterpretq_s8_u8(codes); }
};

GQ_TARGET_END

using Widen = WidenGroups<neon::GroupLanes<Int8>>;

}  // namespace

extern const KernelVariant widen_q8_neon{
    "widen_q8_neon", "neon", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q8"};

}  // namespace gq
