// widen_k and widen_v of f16 in NEON: 16 halves at a time.
// In: a block of halves (kv_f16.cpp). Out: as many floats, in their order. Must not know keys from values.
#include "core/base/memory.h"
#include "cpu_simd/float_tiles_neon.h"

namespace gq {
namespace {

void widen_k(const std::byte* block, size_t head_dim, float* out) {
    unpack_tiles<TileF16>(block, head_dim * kv_page_positions, out);
}

void widen_v(const std::byte* block, size_t head_dim, float* out) {
    unpack_tiles<TileF16>(block, round_up(head_dim, panel_cols) * kv_page_positions, out);
}

}  // namespace

extern const KernelVariant widen_f16_neon{
    "widen_f16_neon", "neon", nullptr, {.widen_k = widen_k, .widen_v = widen_v}, "f16"};

}  // namespace gq
