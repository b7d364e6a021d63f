// 16-bit floats in AVX2: 16 rows are two vectors, each input is one fma for both; 4 sums (panels x tokens) side by side
// fill the registers.
// In: panels of a Tile (float_tiles_avx2.h), activations in floats. Out: gemv under the float contract of kernels.h:
// one chain of fma per output over ascending inputs. Must not know what a Tile's bits mean.
#pragma once

#include "cpu_simd/float_tiles_avx2.h"
#include "cpu_simd/linear.h"
#include "cpu_simd/math_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct LinearFloats {
    static constexpr int max_panels = 4, max_sums = 4;

    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, NoGroups, const std::byte* codes, size_t first_panel,
                         size_t first_token) {
        const PackedMatrix& w = *args.weights;
        const size_t n = w.n_tiles() * tile_cols, panel_bytes = w.n_tiles() * Tile::bytes, stride = args.x_stride;
        const float* x = args.x + first_token * stride;
        __m256 y[n_panels][2][n_tokens] = {};
        for (size_t k = 0; k < n; ++k) {
            const size_t ahead = bytes_ahead<Tile::input_bytes, n_panels>(k, n);
#pragma GCC unroll 4
            for (int p = 0; p < n_panels; ++p) {
                const std::byte* input = codes + p * panel_bytes + k * Tile::input_bytes;
                if (k % 2 == 0) prefetch<2 * Tile::input_bytes>(input + ahead);
                const __m256 low = Tile::rows(input, 0), high = Tile::rows(input, 1);
#pragma GCC unroll 4
                for (int t = 0; t < n_tokens; ++t) {
                    const __m256 value = _mm256_broadcast_ss(x + t * stride + k);
                    y[p][0][t] = _mm256_fmadd_ps(low, value, y[p][0][t]);
                    y[p][1][t] = _mm256_fmadd_ps(high, value, y[p][1][t]);
                }
            }
        }
        for (int p = 0; p < n_panels; ++p) avx2::store_panel(args, first_panel + p, first_token, y[p]);
    }
};

GQ_TARGET_END

}  // namespace
}  // namespace gq
