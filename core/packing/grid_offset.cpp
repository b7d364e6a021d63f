// offset: value = scale * code + offset; two halves per row and group, so that no code is bound to the value 0.
// Must not know how codes are laid out.
//
//     scales, per panel and group, 64 bytes:   | scale of row 0 | ... | scale of row 15 | offset of row 0 | ... | row
//     15 |
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/packing/half_scales.h"

namespace gq {
namespace {

void pack_offset(const GroupParams* group, size_t, unsigned, std::byte* scales, std::byte*) {
    pack_half_scales(group->scale, scales);
    pack_half_scales(group->offset, scales + half_scale_bytes);
}

void unpack_offset(const std::byte* scales, const std::byte*, unsigned, GroupParams& params) {
    unpack_half_scales(scales, params.scale);
    unpack_half_scales(scales + half_scale_bytes, params.offset);
    std::fill_n(params.zero_point, panel_rows, 0);
}

// An offset that no half holds makes the scale infinite: the pair can't be stored.
GroupGrid nearest_offset(float scale, float offset, unsigned) {
    const float stored = f16_to_f32(f32_to_f16(offset));
    return {std::isfinite(stored) ? stored_half_scale(scale) : std::numeric_limits<float>::infinity(), 0, stored};
}

GroupGrid span_offset(float low, float high, unsigned bits) {
    if (low == high) return {};
    return nearest_offset((high - low) / highest_code(bits), low, bits);
}

}  // namespace

extern const Grid grid_offset{
    .name = "offset",
    .scale_bytes = 2 * half_scale_bytes,
    .zeros_part = nullptr,
    .has_zeros = false,
    .has_offsets = true,
    .unit_groups = single_groups,
    .zero_bytes = no_zero_bytes,
    .pack_unit = pack_offset,
    .unpack_group = unpack_offset,
    .span = span_offset,
    .nearest = nearest_offset,
    .settle = nullptr,
};

}  // namespace gq
