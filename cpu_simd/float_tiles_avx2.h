// 16-bit floats as floats in AVX2 and F16C, 16 side by side.
// In: elements of panels, whether of weights or of keys and values. Out: floats, exactly and in their order.
// Must not know what stands in a panel.
#pragma once

#include "cpu_simd/linear.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

// rows(input, half): 8 rows of one input.
struct TileF16 : Tile16 {
    GQ_INLINE __m256 rows(const std::byte* input, int half) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(input) + half));
    }
};

// n elements, a multiple of 64.
template <class Tile>
void unpack_tiles(const std::byte* elements, size_t n, float* values) {
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i += panel_rows, elements += Tile::input_bytes, values += panel_rows) {
        _mm256_storeu_ps(values, Tile::rows(elements, 0));
        _mm256_storeu_ps(values + 8, Tile::rows(elements, 1));
    }
}

GQ_TARGET_END

}  // namespace
}  // namespace gq
