// gemm_f32 in AVX2: tiles of 6 rows x 1 panel (6 x 16 outputs in 12 of 16 registers), 2 loads and 6 broadcasts for 12
// FMAs. In: rows of A at any stride, panels of 16 columns. Out: C under the contract of gemm_f32 in kernels.h: one fma
// chain per output. Must not know caches: a caller passes blocks that fit them.
#include "cpu_simd/isa.h"

namespace gq {

GQ_TARGET_AVX2

// Lanes below n_cols - 8 * half, as the sign bits that maskload and maskstore read.
GQ_INLINE __m256i lane_mask(size_t n_cols, int half) {
    const __m256i lanes = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * half));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n_cols)), lanes);
}

// rows x 16 outputs, of which n_cols exist. Unrolled by pragma: GCC keeps `acc` in registers only where the loops over
// it are gone before it looks at arrays.
template <int rows>
static void multiply_tile(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols) {
    const size_t a_stride = args.a_stride, c_stride = args.c_stride;
    const __m256i masks[2] = {lane_mask(n_cols, 0), lane_mask(n_cols, 1)};
    __m256 acc[rows][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
            acc[r][h] = args.accumulate ? _mm256_maskload_ps(c + r * c_stride + 8 * h, masks[h]) : _mm256_setzero_ps();
        }
    }
    for (size_t k = 0; k < args.k; ++k, b += panel_cols) {
        const __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            const __m256 value = _mm256_broadcast_ss(a + r * a_stride + k);
            acc[r][0] = _mm256_fmadd_ps(low, value, acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(high, value, acc[r][1]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) _mm256_maskstore_ps(c + r * c_stride + 8 * h, masks[h], acc[r][h]);
    }
}

GQ_TARGET_END

using Tile = void (*)(const GemmF32Args& args, const float* a, const float* b, float* c, size_t n_cols);
static constexpr size_t max_rows = 6;
static constexpr Tile tiles[max_rows + 1] = {nullptr,          multiply_tile<1>, multiply_tile<2>, multiply_tile<3>,
                                             multiply_tile<4>, multiply_tile<5>, multiply_tile<6>};

static void gemm_f32(const GemmF32Args& args) {
    for (size_t col = 0; col < args.n_cols; col += panel_cols) {
        const size_t n_cols = args.n_cols - col < panel_cols ? args.n_cols - col : panel_cols;
        for (size_t row = 0, rows; row < args.m; row += rows) {
            rows = args.m - row < max_rows ? args.m - row : max_rows;
            tiles[rows](args, args.a + row * args.a_stride, args.panels + col / panel_cols * args.panel_stride,
                        args.c + row * args.c_stride + col, n_cols);
        }
    }
}

extern const KernelVariant gemm_f32_avx2 = {"gemm_f32_avx2", "avx2", nullptr, {.gemm_f32 = gemm_f32}};

}  // namespace gq
