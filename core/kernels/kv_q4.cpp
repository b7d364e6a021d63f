// q4: 4.5 bits an element, groups of 32 dimensions (kv_groups.h): integers -8 … 7 under a half, of a head's rotated
// coordinates. In: floats. Out: scale = half(m / -8), m the number of the largest magnitude, which so gets the end of
// the range that reaches further; code = x / scale to the nearest integer. A NaN, an infinity or a scale past the
// halves makes the scale NaN; one below them, the group 0. Must not know pages.
//
//     code byte i = 0 … 15:   bits 0 - 3   8 + integer of dimension i
//                             bits 4 - 7   8 + integer of dimension 16 + i
#include "core/kernels/kv_groups.h"

namespace gq {
namespace {

struct Int4 {
    static constexpr size_t bytes = kv_group / 2;
    static constexpr int zero = 8;

    static void round(const float* x, size_t n, KvGroup& group) {
        group.scale = kv_scale(kv_largest(x, n) / -8.0f);
        const float scale = f16_to_f32(group.scale);
        int codes[kv_group];
        std::fill_n(codes, kv_group, zero);
        if (scale < 0 || scale > 0)
            for (size_t i = 0; i < n; ++i) codes[i] += kv_code(x[i], scale, -8, 7);
        for (size_t i = 0; i < bytes; ++i) group.codes[i] = static_cast<uint8_t>(codes[i] | codes[bytes + i] << 4);
    }
    static int value(uint8_t byte, size_t part) { return (part == 0 ? byte & 15 : byte >> 4) - zero; }
};

using Q4 = KvGroups<Int4>;

}  // namespace

extern const KvType kv_q4{
    .name = "q4",
    .is_rotated = true,
    .k_bytes = Q4::bytes,
    .v_bytes = Q4::bytes,
    .store_k = Q4::store_k,
    .store_v = Q4::store_v,
    .widen_k = Q4::widen_k,
    .widen_v = Q4::widen_v,
};

}  // namespace gq
