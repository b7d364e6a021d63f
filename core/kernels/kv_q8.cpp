// q8: 8.5 bits an element, groups of 32 dimensions (kv_groups.h): integers -127 … 127 under a half, of a
// head's rotated coordinates. In: floats. Out: m = the largest |x| of the group, scale = half(m / 127), code = x /
// scale to the nearest integer. A NaN, an infinity or a scale past the halves makes the scale NaN; one below them, the
// group 0. Must not know pages.
//
//     code byte i = 0 … 31:   bits 0 - 7   dimension i, two's complement
#include <cmath>

#include "core/kernels/kv_groups.h"

namespace gq {
namespace {

struct Int8 {
    static constexpr size_t bytes = kv_group;

    static void round(const float* x, size_t n, KvGroup& group) {
        group.scale = kv_scale(std::fabs(kv_largest(x, n)) / 127.0f);
        const float scale = f16_to_f32(group.scale);
        if (!(scale > 0)) return;  // NaN, or 0
        for (size_t i = 0; i < n; ++i)
            group.codes[i] = static_cast<uint8_t>(static_cast<int8_t>(kv_code(x[i], scale, -127, 127)));
    }
    static int value(uint8_t byte, size_t) { return static_cast<int8_t>(byte); }
};

using Q8 = KvGroups<Int8>;

}  // namespace

extern const KvType kv_q8{
    .name = "q8",
    .is_rotated = true,
    .k_bytes = Q8::bytes,
    .v_bytes = Q8::bytes,
    .store_k = Q8::store_k,
    .store_v = Q8::store_v,
    .widen_k = Q8::widen_k,
    .widen_v = Q8::widen_v,
};

}  // namespace gq
