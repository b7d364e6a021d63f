// Grids for tests of the solver alone: what it must cope with, whatever grids the tree has. They can't be packed.
// In: a range, or a scale and an offset. Out: the grid as it would be stored. Must not know solvers.
#pragma once

#include <algorithm>

#include "core/packing/packing.h"
#include "formats/element_type.h"

namespace gq::test {

inline float half(float value) {
    return f16_to_f32(f32_to_f16(value));
}

inline GroupGrid nearest_offset(float scale, float offset, unsigned) {
    return {std::max(half(scale), 0x1p-14f), 0, half(offset)};
}

inline GroupGrid span_offset(float low, float high, unsigned bits) {
    if (low == high) return {};
    return nearest_offset((high - low) / static_cast<float>((1u << bits) - 1), low, bits);
}

template <size_t n>
size_t groups_of(size_t) {
    return n;
}

// Scale and offset, each a half.
inline constexpr Grid offset_grid{.name = "offset for tests",
                                  .scale_bytes = 0,
                                  .zeros_part = nullptr,
                                  .has_zeros = false,
                                  .has_offsets = true,
                                  .unit_groups = groups_of<1>,
                                  .zero_bytes = nullptr,
                                  .pack_unit = nullptr,
                                  .unpack_group = nullptr,
                                  .span = span_offset,
                                  .nearest = nearest_offset,
                                  .settle = nullptr};

// The scales of a pair are sixteenths of the larger one.
inline void settle_pair(GroupGrid* groups, size_t n, unsigned) {
    float largest = 0;
    for (size_t g = 0; g < n; ++g) largest = std::max(largest, groups[g].scale);
    const float step = half(largest / 16) > 0 ? half(largest / 16) : 0x1p-14f;
    for (size_t g = 0; g < n; ++g)
        groups[g].scale =
            step * std::clamp(static_cast<float>(static_cast<int>(groups[g].scale / step + 0.5f)), 1.0f, 16.0f);
}

inline constexpr Grid paired_grid{.name = "pairs for tests",
                                  .scale_bytes = 0,
                                  .zeros_part = nullptr,
                                  .has_zeros = false,
                                  .has_offsets = true,
                                  .unit_groups = groups_of<2>,
                                  .zero_bytes = nullptr,
                                  .pack_unit = nullptr,
                                  .unpack_group = nullptr,
                                  .span = span_offset,
                                  .nearest = nearest_offset,
                                  .settle = settle_pair};

}  // namespace gq::test
