// The part of an integer linear layer that no instruction set changes: which panels and tokens go together, and who reads the grid.
// In: LinearArgs and, as the parameter Isa, a linear_<isa>.h: its Group (what one group of one panel means, in its vectors), its table grid_readers
// and its multiply<Tile, n_tokens, n_panels>. Out: every row and token multiplied once. Must not know vectors or bits.
#pragma once

#include <string_view>

#include "cpu_simd/isa.h"

namespace gq {

// The scales and zero points of a matrix, and who reads them. Group g of panel p has index p * n_groups + g.
template <class Group>
struct Groups {
    const Grid* grid;
    unsigned bits;
    const std::byte* scales;
    const std::byte* zeros;
    size_t scale_bytes, zero_bytes;
    void (*read)(const Groups& groups, size_t index, Group& out);
};

// One row of grid_readers. The last row has no grid's name and serves all: it asks the grid's own unpack_group.
template <class Group>
struct GridReader {
    std::string_view grid;
    unsigned max_bits;
    decltype(Groups<Group>::read) read;
};

template <class Isa>
static Groups<typename Isa::Group> groups_of(const PackedMatrix& w) {
    const GridReader<typename Isa::Group>* reader = Isa::grid_readers;
    while (!reader->grid.empty() && (reader->grid != w.grid->name || w.codes->bits > reader->max_bits)) ++reader;
    const size_t zero_bytes = w.grid->has_zeros ? w.grid->zero_bytes(w.codes->bits) : 0;
    return {w.grid, w.codes->bits, w.scales, w.zeros, w.grid->scale_bytes, zero_bytes, reader->read};
}

// All panels of args, the first of which has its codes at `codes`, times n_tokens tokens: up to max_panels side by side, in at most 8 sums.
template <class Isa, class Tile, int max_panels, int n_tokens>
static void multiply_panels(const LinearArgs& args, const Groups<typename Isa::Group>& groups, const std::byte* codes, size_t token) {
    constexpr size_t n_panels = max_panels * n_tokens <= 8 ? max_panels : max_panels == 1 ? 1 : 8 / n_tokens;
    const size_t panel_bytes = args.weights->n_tiles() * Tile::bytes;
    size_t p = args.panel_begin;
    for (; args.panel_end - p >= n_panels; p += n_panels, codes += n_panels * panel_bytes)
        Isa::template multiply<Tile, n_tokens, n_panels>(args, groups, codes, p, token);
    for (; n_panels > 1 && p < args.panel_end; ++p, codes += panel_bytes)
        Isa::template multiply<Tile, n_tokens, 1>(args, groups, codes, p, token);
}

// All tokens of args: n at a time, and those that are left in smaller numbers, the last of which must be 1.
template <class Isa, class Tile, int max_panels, int n, int... fewer>
static void multiply_tokens(const LinearArgs& args, const Groups<typename Isa::Group>& groups, const std::byte* codes, size_t token = 0) {
    for (; args.n_tokens - token >= n; token += n) multiply_panels<Isa, Tile, max_panels, n>(args, groups, codes, token);
    if constexpr (sizeof...(fewer) > 0) multiply_tokens<Isa, Tile, max_panels, fewer...>(args, groups, codes, token);
}

template <class Isa, class Tile>
static void gemv(const LinearArgs& args) {
    multiply_tokens<Isa, Tile, 4, 4, 3, 2, 1>(args, groups_of<Isa>(*args.weights), args.weights->panel_codes(args.panel_begin));
}

// One panel in 8-bit layout, up to the first of numbers_of_tokens tokens side by side.
template <class Isa, class Tile, int... numbers_of_tokens>
static void gemm_u8s8(const LinearArgs& args, const uint8_t* panel_u8) {
    const std::byte* codes = reinterpret_cast<const std::byte*>(panel_u8);
    multiply_tokens<Isa, Tile, 1, numbers_of_tokens...>(args, groups_of<Isa>(*args.weights), codes);
}

GQ_INLINE Q8Rows advance(const Q8Rows& x, size_t blocks) {
    return {x.values + blocks * q8_block, x.scales + blocks, x.sums + blocks * 2, x.n_blocks};
}

}  // namespace gq
