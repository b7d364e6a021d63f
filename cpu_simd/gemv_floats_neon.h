// 16-bit floats in NEON: 16 rows are four vectors, each input is four fmas; 8 sums or more side by side hide their
// latency of 4 cycles.
// In: panels of a Tile (float_tiles_neon.h), activations in floats. Out: gemv under the float contract of kernels.h:
// one chain of fma per output over ascending inputs. Must not know what a Tile's bits mean.
#pragma once

#include "cpu_simd/float_tiles_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

struct LinearFloats {
    static constexpr int max_panels = 2, max_sums = 4;

    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, NoGroups, const std::byte* codes, size_t first_panel,
                         size_t first_token) {
        const PackedMatrix& w = *args.weights;
        const size_t n = w.n_tiles() * tile_cols, panel_bytes = w.n_tiles() * Tile::bytes, stride = args.x_stride;
        const float* x = args.x + first_token * stride;
        float32x4_t y[n_panels][n_tokens][neon::quarters] = {};
        for (size_t k = 0; k < n; ++k) {
            const size_t ahead = bytes_ahead<Tile::input_bytes, n_panels>(k, n);
#pragma GCC unroll 2
            for (int p = 0; p < n_panels; ++p) {
                const std::byte* input = codes + p * panel_bytes + k * Tile::input_bytes;
                if (k % 2 == 0) prefetch<2 * Tile::input_bytes>(input + ahead);
                float32x4_t rows[neon::quarters];
                Tile::rows(input, rows);
#pragma GCC unroll 4
                for (int t = 0; t < n_tokens; ++t)
#pragma GCC unroll 4
                    for (int q = 0; q < neon::quarters; ++q)
                        y[p][t][q] = vfmaq_n_f32(y[p][t][q], rows[q], x[t * stride + k]);
            }
        }
#pragma GCC unroll 2
        for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 4
            for (int t = 0; t < n_tokens; ++t) neon::store_panel(args, first_panel + p, first_token + t, y[p][t]);
    }
};

GQ_TARGET_END

}  // namespace
}  // namespace gq
