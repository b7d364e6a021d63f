// What grids share: 16 IEEE halves, row 0 first, 32 bytes; and how a number becomes a half.
// In: floats that are halves already. Out: bytes, and back exactly.
// Must not know zero points.
#pragma once

#include <cstring>

#include "core/packing/packing.h"
#include "formats/element_type.h"

namespace gq {

inline constexpr size_t half_scale_bytes = panel_rows * sizeof(uint16_t);

inline void pack_half_scales(const float* scale, std::byte* bytes) {
    for (size_t row = 0; row < panel_rows; ++row) {
        const uint16_t half = f32_to_f16(scale[row]);
        std::memcpy(bytes + row * sizeof half, &half, sizeof half);
    }
}

// A scale >= 0 as it is stored: to nearest, but a subnormal never down, for its few bits would cut off the end of a
// range, and never 0. Infinite where f16 has none so large.
inline float stored_half_scale(float scale) {
    constexpr uint16_t smallest_normal = 0x0400;
    const uint16_t half = f32_to_f16(scale);
    const bool up = half == 0 || (half < smallest_normal && f16_to_f32(half) < scale);
    return f16_to_f32(static_cast<uint16_t>(half + (up ? 1 : 0)));
}

// For grids whose groups stand alone, and for grids without zeros.
inline size_t single_groups(size_t) {
    return 1;
}
inline size_t no_zero_bytes(unsigned) {
    return 0;
}

// 2^bits - 1.
inline float highest_code(unsigned bits) {
    return static_cast<float>((1u << bits) - 1);
}

inline void unpack_half_scales(const std::byte* bytes, float* scale) {
    traits(ElementType::f16).to_f32(bytes, panel_rows, scale);
}

}  // namespace gq
