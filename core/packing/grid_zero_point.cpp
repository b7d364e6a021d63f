// zero_point: value = scale * (code - zero_point); a half and an unsigned integer per row and group.
// Must not know how codes are laid out.
//
//     scales, per panel and group, 32 bytes:          | half of row 0 | half of row 1 | ... | half of row 15 |
//     zeros, codes of at most 4 bits, 8 bytes:        byte i:  low nibble: row 2i, high nibble: row 2i + 1
//     zeros, codes of 5 to 8 bits, 16 bytes:          byte i:  row i
#include <algorithm>
#include <cmath>

#include "core/packing/half_scales.h"

namespace gq {
namespace {

bool zeros_are_nibbles(unsigned bits) {
    return bits <= 4;
}

size_t zero_point_bytes(unsigned bits) {
    return zeros_are_nibbles(bits) ? panel_rows / 2 : panel_rows;
}

void pack_zero_point(const GroupParams* group, size_t, unsigned bits, std::byte* scales, std::byte* zeros) {
    pack_half_scales(group->scale, scales);
    for (size_t i = 0; i < zero_point_bytes(bits); ++i) {
        const int32_t byte = zeros_are_nibbles(bits) ? group->zero_point[2 * i] | group->zero_point[2 * i + 1] << 4
                                                     : group->zero_point[i];
        zeros[i] = static_cast<std::byte>(byte);
    }
}

void unpack_zero_point(const std::byte* scales, const std::byte* zeros, unsigned bits, GroupParams& params) {
    unpack_half_scales(scales, params.scale);
    for (size_t row = 0; row < panel_rows; ++row) {
        params.zero_point[row] = zeros_are_nibbles(bits)
                                     ? std::to_integer<int32_t>(zeros[row / 2]) >> (4 * (row % 2)) & 15
                                     : std::to_integer<int32_t>(zeros[row]);
    }
}

// The code whose value is nearest to 0 when code 0 has the value `offset`; ties to even.
uint8_t code_of_zero(float offset, float scale, unsigned bits) {
    return static_cast<uint8_t>(std::clamp(std::nearbyint(-offset / scale), 0.0f, highest_code(bits)));
}

GroupGrid span_zero_point(float low, float high, unsigned bits) {
    if (low == high) return {};
    const float scale = stored_half_scale((high - low) / highest_code(bits));
    return {scale, code_of_zero(low, scale, bits), 0};
}

GroupGrid nearest_zero_point(float scale, float offset, unsigned bits) {
    const float stored = stored_half_scale(scale);
    return {stored, code_of_zero(offset, stored, bits), 0};
}

}  // namespace

extern const Grid grid_zero_point{
    .name = "zero_point",
    .scale_bytes = half_scale_bytes,
    .zeros_part = "zeros",
    .has_zeros = true,
    .has_offsets = false,
    .unit_groups = single_groups,
    .zero_bytes = zero_point_bytes,
    .pack_unit = pack_zero_point,
    .unpack_group = unpack_zero_point,
    .span = span_zero_point,
    .nearest = nearest_zero_point,
    .settle = nullptr,
};

}  // namespace gq
