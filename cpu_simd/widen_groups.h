// The part of widen_k and widen_v of the cache's integer types that no instruction set changes: which group comes next.
// In: a block of groups (kv_groups.h) and a Kernel: its `bytes`, the code bytes of a group; k_tile(tile, n, out), the n
// dimensions of one group of 16 keys; v_panel(scales, codes, part, out), 16 dimensions of that part of 64 values, whose
// scales are halves. Out: the panels of kv.h. Must not know vectors or how many bits a code has.
#pragma once

#include "core/kernels/kv_groups.h"

namespace gq {

template <class Kernel>
struct WidenGroups {
    using Places = KvGroupPlaces<Kernel::bytes>;

    static void widen_k(const std::byte* block, size_t head_dim, float* out) {
        for (size_t panel = 0; panel < kv_page_positions / panel_cols; ++panel) {
            for (size_t first = 0; first < head_dim; first += kv_group, block += Places::k_tile) {
                const size_t n = head_dim - first < kv_group ? head_dim - first : kv_group;
                Kernel::k_tile(block, n, out);
                out += n * panel_cols;
            }
        }
    }

    static void widen_v(const std::byte* block, size_t head_dim, float* out) {
        for (size_t first = 0; first < head_dim; first += panel_cols, out += kv_page_positions * panel_cols) {
            const std::byte* tile = block + first / kv_group * Places::v_tile;
            const size_t d = first % kv_group;
            const std::byte* codes = tile + Places::v_scales + d % Kernel::bytes * kv_page_positions;
            Kernel::v_panel(tile, codes, d / Kernel::bytes, out);
        }
    }
};

}  // namespace gq
