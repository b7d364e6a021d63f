// symmetric: value = scale * (code - 2^(bits - 1)); one half per row and group, nothing else stored.
// Must not know how codes are laid out.
//
//     scales, per panel and group, 32 bytes:   | half of row 0 | half of row 1 | ... | half of row 15 |
#include <algorithm>

#include "core/packing/half_scales.h"

namespace gq {
namespace {

void pack_symmetric(const GroupParams* group, size_t, unsigned, std::byte* scales, std::byte*) {
    pack_half_scales(group->scale, scales);
}

void unpack_symmetric(const std::byte* scales, const std::byte*, unsigned bits, GroupParams& params) {
    unpack_half_scales(scales, params.scale);
    std::fill_n(params.zero_point, panel_rows, int32_t{middle_code(bits)});
}

// Mirrored: a group of one sign keeps half of its codes unused, but loses nothing.
GroupGrid span_symmetric(float low, float high, unsigned bits) {
    const float reach = std::max(-low, high);
    return {reach == 0 ? 1.0f : stored_half_scale((reach + reach) / highest_code(bits)), middle_code(bits), 0};
}

GroupGrid nearest_symmetric(float scale, float, unsigned bits) {
    return {stored_half_scale(scale), middle_code(bits), 0};
}

}  // namespace

extern const Grid grid_symmetric{
    .name = "symmetric",
    .scale_bytes = half_scale_bytes,
    .zeros_part = nullptr,
    .has_zeros = false,
    .has_offsets = false,
    .unit_groups = single_groups,
    .zero_bytes = no_zero_bytes,
    .pack_unit = pack_symmetric,
    .unpack_group = unpack_symmetric,
    .span = span_symmetric,
    .nearest = nearest_symmetric,
    .settle = nullptr,
};

}  // namespace gq
