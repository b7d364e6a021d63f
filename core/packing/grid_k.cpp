// k: value = scale * code - minimum, both in 64 steps of numbers that up to 16 groups share: GGUF's K-quants.
// Must not know how codes are laid out.
//
//     unit: 256 inputs for groups of 16, else 8 groups; the last one of a row may be short.
//     scale = d * S, offset = -(dmin * M): d and dmin are halves of the unit, S and M 6-bit numbers of the group; the
//     products are exact in fp32, and an offset is never negative zero.
//
//     scales, per panel and unit, 64 bytes:    | d of row 0 | ... | d of row 15 | dmin of row 0 | ... | dmin of row 15
//     | steps, per panel and group, 24 bytes:
//         bytes  0 ...  7:   low 4 bits of S:   byte i:  low nibble: row 2i, high nibble: row 2i + 1
//         bytes  8 ... 15:   low 4 bits of M:   as S
//         bytes 16 ... 19:   high 2 bits of S:  byte i:  bits 2p, 2p + 1: row i + 4p            p = 0 ... 3
//         bytes 20 ... 23:   high 2 bits of M:  as S
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/status.h"
#include "core/packing/half_scales.h"

namespace gq {
namespace {

constexpr int highest_step = 63;
constexpr float next_to_nothing = 0x1p-24f;  // the scale that a group of zeros asks for: the smallest half
constexpr size_t nibble_bytes = panel_rows / 2, pair_bytes = panel_rows / 4;
constexpr size_t step_bytes = 2 * (nibble_bytes + pair_bytes);

size_t k_unit_groups(size_t group) {
    return group == half_tile_cols ? 16 : 8;
}

size_t k_step_bytes(unsigned) {
    return step_bytes;
}

// --- bytes -----------------------------------------------------------------------------------------------------------

void pack_steps(const uint8_t* steps, std::byte* nibbles, std::byte* pairs) {
    for (size_t i = 0; i < nibble_bytes; ++i)
        nibbles[i] = static_cast<std::byte>((steps[2 * i] & 15) | (steps[2 * i + 1] & 15) << 4);
    for (size_t i = 0; i < pair_bytes; ++i) {
        unsigned byte = 0;
        for (size_t p = 0; p < 4; ++p) byte |= static_cast<unsigned>(steps[i + 4 * p] >> 4) << (2 * p);
        pairs[i] = static_cast<std::byte>(byte);
    }
}

float step_of(size_t row, const std::byte* nibbles, const std::byte* pairs) {
    const int low = std::to_integer<int>(nibbles[row / 2]) >> (4 * (row % 2)) & 15;
    const int high = std::to_integer<int>(pairs[row % 4]) >> (2 * (row / 4)) & 3;
    return static_cast<float>(low | high << 4);
}

bool is_half(float value) {
    return f16_to_f32(f32_to_f16(value)) == value;
}

// The half of which all n products are multiples by at most 63, and these; of several the smallest.
float factor(const float* products, size_t n, uint8_t* steps) {
    float largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::abs(products[i]) > std::abs(largest) ? products[i] : largest;
    std::fill_n(steps, n, uint8_t{0});
    if (largest == 0) return 0;
    for (int step = highest_step; step > 0; --step) {
        const float unit = largest / static_cast<float>(step);
        if (!is_half(unit) || unit == 0) continue;
        const auto is_multiple = [&](float product) {
            const float multiple = std::nearbyint(product / unit);
            return multiple >= 0 && multiple <= highest_step && multiple * unit == product;
        };
        if (!std::all_of(products, products + n, is_multiple)) continue;
        for (size_t i = 0; i < n; ++i) steps[i] = static_cast<uint8_t>(std::nearbyint(products[i] / unit));
        return unit;
    }
    fail(Status::internal, "grid k: numbers of one unit expected that are 0 to 63 times one half, found %g among %zu",
         static_cast<double>(largest), n);
}

void pack_k(const GroupParams* groups, size_t n, unsigned, std::byte* scales, std::byte* zeros) {
    float d[panel_rows], dmin[panel_rows], products[max_unit_groups];
    uint8_t found[max_unit_groups], s[max_unit_groups][panel_rows], m[max_unit_groups][panel_rows];
    for (size_t row = 0; row < panel_rows; ++row) {
        for (size_t g = 0; g < n; ++g) products[g] = groups[g].scale[row];
        d[row] = factor(products, n, found);
        for (size_t g = 0; g < n; ++g) s[g][row] = found[g];
        for (size_t g = 0; g < n; ++g) products[g] = 0.0f - groups[g].offset[row];
        dmin[row] = factor(products, n, found);
        for (size_t g = 0; g < n; ++g) m[g][row] = found[g];
    }
    pack_half_scales(d, scales);
    pack_half_scales(dmin, scales + half_scale_bytes);
    for (size_t g = 0; g < n; ++g, zeros += step_bytes) {
        pack_steps(s[g], zeros, zeros + 2 * nibble_bytes);
        pack_steps(m[g], zeros + nibble_bytes, zeros + 2 * nibble_bytes + pair_bytes);
    }
}

void unpack_k(const std::byte* scales, const std::byte* zeros, unsigned, GroupParams& params) {
    const std::byte* pairs = zeros + 2 * nibble_bytes;
    unpack_half_scales(scales, params.scale);
    unpack_half_scales(scales + half_scale_bytes, params.offset);
    for (size_t row = 0; row < panel_rows; ++row) {
        params.scale[row] *= step_of(row, zeros, pairs);
        params.offset[row] = 0.0f - params.offset[row] * step_of(row, zeros + nibble_bytes, pairs + pair_bytes);
        params.zero_point[row] = 0;
    }
}

// --- search ----------------------------------------------------------------------------------------------------------

// As wanted, before the groups of a unit agree; only a minimum <= 0 can be stored. The scale is infinite where no half
// is large enough for either.
GroupGrid nearest_k(float scale, float offset, unsigned) {
    constexpr float largest = highest_step * 65504.0f;
    const float minimum = offset < 0 ? offset : 0.0f;
    const bool fits = scale <= largest && -minimum <= largest;
    return {fits ? std::max(scale, next_to_nothing) : std::numeric_limits<float>::infinity(), 0, minimum};
}

GroupGrid span_k(float low, float high, unsigned bits) {
    return nearest_k((high - low) / highest_code(bits), low, bits);
}

// The step for a value, at least `lowest`.
float step_for(float value, float unit, float lowest) {
    return std::clamp(std::nearbyint(value / unit), lowest, static_cast<float>(highest_step));
}

// n numbers >= 0 of one unit become steps, at least `lowest`, of the half that serves them best: of those near 1/63,
// 1/62.5, … of the largest the one with the least sum of squared errors, for what rounding costs goes with scale².
// Groups of zeros take no part, for they are right in any step.
void round_to_steps(float* values, size_t n, float lowest) {
    constexpr int half_steps = 40;  // down to a largest step of 43
    const float largest = *std::max_element(values, values + n);
    float best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= half_steps && largest > 0; ++i) {
        const float unit = stored_half_scale(largest / (highest_step - 0.5f * static_cast<float>(i)));
        double error = 0;
        for (size_t g = 0; g < n; ++g) {
            const double off = unit * step_for(values[g], unit, lowest) - values[g];
            if (values[g] > next_to_nothing) error += off * off;
        }
        if (!(error < least)) continue;  // nor is an infinite unit's
        least = error;
        best = unit;
    }
    for (size_t g = 0; g < n; ++g) values[g] = best == 0 ? 0.0f : best * step_for(values[g], best, lowest);
}

void settle_k(GroupGrid* groups, size_t n, unsigned) {
    float scales[max_unit_groups], minima[max_unit_groups];
    for (size_t g = 0; g < n; ++g) {
        scales[g] = groups[g].scale;
        minima[g] = -groups[g].offset;
    }
    round_to_steps(scales, n, 1);
    round_to_steps(minima, n, 0);
    for (size_t g = 0; g < n; ++g) {
        groups[g].scale = scales[g];
        groups[g].offset = 0.0f - minima[g];
    }
}

}  // namespace

extern const Grid grid_k{
    .name = "k",
    .scale_bytes = 2 * half_scale_bytes,
    .zeros_part = "steps",
    .has_zeros = false,
    .has_offsets = true,
    .unit_groups = k_unit_groups,
    .zero_bytes = k_step_bytes,
    .pack_unit = pack_k,
    .unpack_group = unpack_k,
    .span = span_k,
    .nearest = nearest_k,
    .settle = settle_k,
};

}  // namespace gq
