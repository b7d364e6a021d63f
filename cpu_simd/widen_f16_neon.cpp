// widen_k and widen_v of f16 in NEON: 16 halves at a time.
// In: a block of halves (kv_f16.cpp). Out: as many floats, in their order. Must not know keys from values.
#include "cpu_simd/math_neon.h"

namespace gq {
namespace {

GQ_TARGET_NEON

void widen_panels(const std::byte* block, size_t n_rows, float* out) {
    for (size_t row = 0; row < n_rows; ++row, block += panel_cols * 2, out += panel_cols)
        for (int q = 0; q < neon::quarters; ++q) vst1q_f32(out + 4 * q, neon::read_4_halves(block + 8 * q));
}

void widen_k(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, head_dim * (kv_page_positions / panel_cols), out);
}

void widen_v(const std::byte* block, size_t head_dim, float* out) {
    widen_panels(block, (head_dim + panel_cols - 1) / panel_cols * kv_page_positions, out);
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant widen_f16_neon{
    "widen_f16_neon", "neon", nullptr, {.widen_k = widen_k, .widen_v = widen_v}, "f16"};

}  // namespace gq
