// The walk of the integer linear layer for sets with 256-bit registers: a ymm is 8 rows x 4 inputs, half of a panel.
// In: GQ_TARGET_YMM, the region of the one set that a file of cpu_simd/ is for: a target can't be a template's
// argument, and what is inlined must be of its caller's. A Product: how many panels and sums it takes side by side, and
// multiply<Tile, part>, which adds a block's products to acc[panel][half][token]. It stands in an unnamed namespace, so
// that no linker takes one set's walk for another's. Out: Linear, as linear.h asks. Must not know how codes are
// multiplied.
#pragma once

#include "cpu_simd/groups_avx2.h"

namespace gq::ymm {

GQ_TARGET_YMM

// Block b of n_panels panels.
template <class Product, Part part, class Tile, int n_tokens, int n_panels>
GQ_INLINE void multiply_panels(const std::byte* codes, const TileWalk<Tile>& walk, size_t b, const Q8Rows& x,
                               const avx2::Group (&group)[n_panels], __m256 (&acc)[n_panels][2][n_tokens]) {
    const std::byte* tile = codes + b * Tile::bytes;
    if (part != Part::last) prefetch_panels<n_panels>(walk, b, tile);
    Product::template multiply<Tile, part>(tile, walk.panel_bytes, advance(x, b), group, acc);
}

// What linear.h asks for.
template <bool halves, class Product>
struct Linear {
    using Group = avx2::Group;
    static constexpr int max_panels = Product::max_panels, max_sums = Product::max_sums;

    // n_panels panels from first_panel on, whose codes stand at `codes`, times n_tokens tokens from first_token on.
    template <class Tile, int n_tokens, int n_panels>
    static void multiply(const LinearArgs& args, const Groups<Group>& groups, const std::byte* codes,
                         size_t first_panel, size_t first_token) {
        const TileWalk<Tile> walk = walk_of<Tile>(*args.weights, groups);
        const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
        const float* sums = groups.grid->has_offsets ? args.group_sums + first_token * walk.n_groups : nullptr;
        __m256 y[n_panels][2][n_tokens] = {}, acc[n_panels][2][n_tokens];
        Group run[run_groups][n_panels];
        for (size_t g = 0, b = 0; g < walk.n_groups; ++g) {
            if (g % run_groups == 0) read_groups<Tile, n_panels>(groups, first_panel, g, run);
            const Group(&group)[n_panels] = run[g % run_groups];
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 8
                for (int t = 0; t < n_tokens; ++t) acc[p][0][t] = acc[p][1][t] = _mm256_setzero_ps();
            if constexpr (halves) {
                if (g % 2 == 0)
                    multiply_panels<Product, Part::first>(codes, walk, g / 2, x, group, acc);
                else
                    multiply_panels<Product, Part::last>(codes, walk, g / 2, x, group, acc);
            } else {
                for (const size_t end = group_end(walk, b); b < end; ++b)
                    multiply_panels<Product, Part::whole>(codes, walk, b, x, group, acc);
            }
#pragma GCC unroll 8
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 2
                for (int half = 0; half < 2; ++half)
#pragma GCC unroll 8
                    for (int t = 0; t < n_tokens; ++t)
                        y[p][half][t] = _mm256_fmadd_ps(group[p].scale[half], acc[p][half][t], y[p][half][t]);
            if (sums) avx2::add_offsets(group, sums + g, walk.n_groups, y);
        }
#pragma GCC unroll 8
        for (int p = 0; p < n_panels; ++p) avx2::store_panel(args, first_panel + p, first_token, y[p]);
    }
};

GQ_TARGET_END

}  // namespace gq::ymm
