// 16-bit floats in AVX-512: 16 rows are one vector, each input is one fma; 8 sums (panels x tokens) side by side hide
// its latency of 4 cycles.
// In: panels of a Tile, whose rows(input) are the 16 rows of one input as floats; activations in floats.
// Out: gemv under the float contract of kernels.h: one chain of fma per output over ascending inputs.
// Must not know what a Tile's bits mean.
#pragma once

#include "cpu_simd/linear.h"
#include "cpu_simd/math_avx512.h"

namespace gq {
namespace {

GQ_TARGET_AVX512

struct LinearFloats {
    static constexpr int max_panels = 8, max_sums = 8;

    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, NoGroups, const std::byte* codes, size_t first_panel,
                         size_t first_token) {
        const PackedMatrix& w = *args.weights;
        const size_t n = w.n_tiles() * tile_cols, panel_bytes = w.n_tiles() * Tile::bytes, stride = args.x_stride;
        const float* x = args.x + first_token * stride;
        __m512 y[n_panels][n_tokens] = {};
        for (size_t k = 0; k < n; ++k) {
            const size_t ahead = bytes_ahead<Tile::input_bytes, n_panels>(k, n);
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p) {
                const std::byte* input = codes + p * panel_bytes + k * Tile::input_bytes;
                if (k % 2 == 0) prefetch<2 * Tile::input_bytes>(input + ahead);
                const __m512 rows = Tile::rows(input);
#pragma GCC unroll 4
                for (int t = 0; t < n_tokens; ++t)
                    y[p][t] = _mm512_fmadd_ps(rows, _mm512_set1_ps(x[t * stride + k]), y[p][t]);
            }
        }
        for (int p = 0; p < n_panels; ++p) avx512::store_panel(args, first_panel + p, first_token, y[p]);
    }
};

GQ_TARGET_END

}  // namespace
}  // namespace gq
