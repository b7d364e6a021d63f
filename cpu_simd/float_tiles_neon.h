// 16-bit floats as floats in NEON, 16 side by side.
// In: elements of panels, whether of weights or of keys and values. Out: floats, exactly and in their order.
// Must not know what stands in a panel.
#pragma once

#include "cpu_simd/linear.h"
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

// rows(input, out): the 16 rows of one input.
struct TileF16 : Tile16 {
    GQ_INLINE void rows(const std::byte* input, float32x4_t (&out)[neon::quarters]) { neon::read_halves(input, out); }
};

// n elements, a multiple of 16.
template <class Tile>
void unpack_tiles(const std::byte* elements, size_t n, float* values) {
    for (size_t i = 0; i < n; i += panel_rows, elements += Tile::input_bytes, values += panel_rows) {
        float32x4_t rows[neon::quarters];
        Tile::rows(elements, rows);
        for (int q = 0; q < neon::quarters; ++q) vst1q_f32(values + 4 * q, rows[q]);
    }
}

GQ_TARGET_END

}  // namespace
}  // namespace gq
