// k_signed: value = scale * (code - 2^(bits - 1)), the scales of up to 16 groups in signed steps of one number: GGUF's
// Q3_K, Q6_K and IQ4_XS.
// Must not know how codes are laid out.
//
//     unit: as of grid k. scale = d * S: d is a half of the unit, S an integer of the group, -128 ... 127; the product
//     is exact in fp32.
//
//     scales, per panel and unit, 32 bytes:    | d of row 0 | ... | d of row 15 |
//     steps, per panel and group, 16 bytes:    | S of row 0 | ... | S of row 15 |     int8
#include <algorithm>
#include <limits>

#include "core/packing/half_scales.h"
#include "core/packing/half_steps.h"

namespace gq {
namespace {

constexpr StepRange range = {-128, 127};
constexpr StepRange range_of_settled = {1, 127};

size_t step_bytes(unsigned) {
    return panel_rows;
}

void pack_k_signed(const GroupParams* groups, size_t n, unsigned, std::byte* scales, std::byte* steps) {
    float d[panel_rows], products[max_unit_groups];
    int8_t found[max_unit_groups];
    for (size_t row = 0; row < panel_rows; ++row) {
        for (size_t g = 0; g < n; ++g) products[g] = groups[g].scale[row];
        d[row] = common_half(products, n, range, "k_signed", found);
        for (size_t g = 0; g < n; ++g) steps[g * panel_rows + row] = static_cast<std::byte>(found[g]);
    }
    pack_half_scales(d, scales);
}

void unpack_k_signed(const std::byte* scales, const std::byte* steps, unsigned bits, GroupParams& params) {
    unpack_half_scales(scales, params.scale);
    for (size_t row = 0; row < panel_rows; ++row)
        params.scale[row] *= static_cast<float>(static_cast<int8_t>(steps[row]));
    std::fill_n(params.zero_point, panel_rows, int32_t{middle_code(bits)});
}

// As wanted, before the groups of a unit agree.
GroupGrid nearest_k_signed(float scale, float, unsigned bits) {
    const bool fits = scale <= static_cast<float>(range.highest) * 65504.0f;
    return {fits ? std::max(scale, next_to_nothing) : std::numeric_limits<float>::infinity(), middle_code(bits), 0};
}

// Mirrored, as symmetric.
GroupGrid span_k_signed(float low, float high, unsigned bits) {
    const float reach = std::max(-low, high);
    return nearest_k_signed((reach + reach) / highest_code(bits), 0, bits);
}

void settle_k_signed(GroupGrid* groups, size_t n, unsigned) {
    float scales[max_unit_groups];
    for (size_t g = 0; g < n; ++g) scales[g] = groups[g].scale;
    round_to_steps(scales, n, range_of_settled);
    for (size_t g = 0; g < n; ++g) groups[g].scale = scales[g];
}

}  // namespace

extern const Grid grid_k_signed{
    .name = "k_signed",
    .scale_bytes = half_scale_bytes,
    .zeros_part = "steps",
    .has_zeros = false,
    .has_offsets = false,
    .unit_groups = half_step_groups,
    .zero_bytes = step_bytes,
    .pack_unit = pack_k_signed,
    .unpack_group = unpack_k_signed,
    .span = span_k_signed,
    .nearest = nearest_k_signed,
    .settle = settle_k_signed,
};

}  // namespace gq
