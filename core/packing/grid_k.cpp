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

#include "core/packing/half_scales.h"
#include "core/packing/half_steps.h"

namespace gq {
namespace {

constexpr StepRange range = {0, 63};
constexpr StepRange range_of_scales = {1, 63};  // those that are settled: a scale of 0 is no scale
constexpr size_t nibble_bytes = panel_rows / 2, pair_bytes = panel_rows / 4;
constexpr size_t step_bytes = 2 * (nibble_bytes + pair_bytes);

size_t k_step_bytes(unsigned) {
    return step_bytes;
}

// --- bytes -----------------------------------------------------------------------------------------------------------

void pack_steps(const int8_t* steps, std::byte* nibbles, std::byte* pairs) {
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

void pack_k(const GroupParams* groups, size_t n, unsigned, std::byte* scales, std::byte* zeros) {
    float d[panel_rows], dmin[panel_rows], products[max_unit_groups];
    int8_t found[max_unit_groups], s[max_unit_groups][panel_rows], m[max_unit_groups][panel_rows];
    for (size_t row = 0; row < panel_rows; ++row) {
        for (size_t g = 0; g < n; ++g) products[g] = groups[g].scale[row];
        d[row] = common_half(products, n, range, "k", found);
        for (size_t g = 0; g < n; ++g) s[g][row] = found[g];
        for (size_t g = 0; g < n; ++g) products[g] = 0.0f - groups[g].offset[row];
        dmin[row] = common_half(products, n, range, "k", found);
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
    constexpr float largest = static_cast<float>(range.highest) * 65504.0f;
    const float minimum = offset < 0 ? offset : 0.0f;
    const bool fits = scale <= largest && -minimum <= largest;
    return {fits ? std::max(scale, next_to_nothing) : std::numeric_limits<float>::infinity(), 0, minimum};
}

GroupGrid span_k(float low, float high, unsigned bits) {
    return nearest_k((high - low) / highest_code(bits), low, bits);
}

void settle_k(GroupGrid* groups, size_t n, unsigned) {
    float scales[max_unit_groups], minima[max_unit_groups];
    for (size_t g = 0; g < n; ++g) {
        scales[g] = groups[g].scale;
        minima[g] = -groups[g].offset;
    }
    round_to_steps(scales, n, range_of_scales);
    round_to_steps(minima, n, range);
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
    .unit_groups = half_step_groups,
    .zero_bytes = k_step_bytes,
    .pack_unit = pack_k,
    .unpack_group = unpack_k,
    .span = span_k,
    .nearest = nearest_k,
    .settle = settle_k,
};

}  // namespace gq
