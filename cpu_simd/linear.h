// The part of a linear layer that no instruction set changes: which panels and tokens go together, and who reads the
// grid.
// In: LinearArgs, a Tile (how codes stand in memory; its `bytes`), and a Kernel: multiply<Tile, n_tokens, n_panels>,
// how many panels and sums it takes side by side, and for integer codes its Group (what one group of one panel means,
// in its vectors) with its `readers`. Out: every row and token multiplied once. Must not know vectors or bits.
#pragma once

#include <string_view>

#include "core/packing/bit_plane.h"
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

template <class Group>
GQ_INLINE const std::byte* scales_of(const Groups<Group>& groups, size_t index) {
    return groups.scales + index * groups.scale_bytes;
}
template <class Group>
GQ_INLINE const std::byte* zeros_of(const Groups<Group>& groups, size_t index) {
    return groups.zeros + index * groups.zero_bytes;
}
// What any grid can give, by its own unpack_group.
template <class Group>
GQ_INLINE GroupParams params_of(const Groups<Group>& groups, size_t index) {
    GroupParams params;
    groups.grid->unpack_group(scales_of(groups, index), zeros_of(groups, index), groups.bits, params);
    return params;
}

// The ways to read a group that a Kernel has of its own, null where it has none, and `any`, which asks params_of.
template <class Group>
struct GroupReaders {
    decltype(Groups<Group>::read) symmetric;  // the zero point is 2^(bits - 1)
    decltype(Groups<Group>::read) nibbles;    // zero points as grid_zero_point.cpp draws them for codes of up to 4 bits
    decltype(Groups<Group>::read) bytes;      // and for wider ones
    decltype(Groups<Group>::read) any;
};

template <class Kernel>
static Groups<typename Kernel::Group> groups_of(const PackedMatrix& w) {
    static constexpr struct {
        std::string_view grid;
        size_t zero_bytes;
        decltype(Groups<typename Kernel::Group>::read) read;
    } table[] = {{"symmetric", 0, Kernel::readers.symmetric},
                 {"zero_point", panel_rows / 2, Kernel::readers.nibbles},
                 {"zero_point", panel_rows, Kernel::readers.bytes}};
    const size_t zero_bytes = w.grid->has_zeros ? w.grid->zero_bytes(w.codes->bits) : 0;
    auto read = Kernel::readers.any;
    for (const auto& row : table) {
        if (row.read && row.zero_bytes == zero_bytes && row.grid == w.grid->name) read = row.read;
    }
    return {w.grid, w.codes->bits, w.scales, w.zeros, w.grid->scale_bytes, zero_bytes, read};
}
struct NoGroups {};  // float codes

// All panels of args, the first of which has its codes at `codes`, times n_tokens tokens.
template <class Kernel, class Tile, int max_panels, int n_tokens, class GroupsOrNone>
static void multiply_panels(const LinearArgs& args, const GroupsOrNone& groups, const std::byte* codes, size_t token) {
    constexpr int fitting = Kernel::max_sums / n_tokens;
    constexpr size_t n_panels = fitting < 1 ? 1 : fitting < max_panels ? fitting : max_panels;
    const size_t panel_bytes = args.weights->n_tiles() * Tile::bytes;
    size_t p = args.panel_begin;
    for (; args.panel_end - p >= n_panels; p += n_panels, codes += n_panels * panel_bytes)
        Kernel::template multiply<Tile, n_tokens, n_panels>(args, groups, codes, p, token);
    for (; n_panels > 1 && p < args.panel_end; ++p, codes += panel_bytes)
        Kernel::template multiply<Tile, n_tokens, 1>(args, groups, codes, p, token);
}

// All tokens of args: n at a time, and those that are left in smaller numbers, the last of which must be 1.
template <class Kernel, class Tile, int max_panels, int n, int... fewer, class GroupsOrNone>
static void multiply_tokens(const LinearArgs& args, const GroupsOrNone& groups, const std::byte* codes,
                            size_t token = 0) {
    for (; args.n_tokens - token >= n; token += n)
        multiply_panels<Kernel, Tile, max_panels, n>(args, groups, codes, token);
    if constexpr (sizeof...(fewer) > 0) multiply_tokens<Kernel, Tile, max_panels, fewer...>(args, groups, codes, token);
}

template <class Kernel, class Tile>
static void gemv(const LinearArgs& args) {
    const std::byte* codes = args.weights->panel_codes(args.panel_begin);
    multiply_tokens<Kernel, Tile, Kernel::max_panels, 4, 3, 2, 1>(args, groups_of<Kernel>(*args.weights), codes);
}
template <class Kernel, class Tile>
static void gemv_floats(const LinearArgs& args) {
    const std::byte* codes = args.weights->panel_codes(args.panel_begin);
    multiply_tokens<Kernel, Tile, Kernel::max_panels, 4, 3, 2, 1>(args, NoGroups{}, codes);
}

// One panel in 8-bit layout, up to the first of numbers_of_tokens tokens side by side.
template <class Kernel, class Tile, int... numbers_of_tokens>
static void gemm_u8s8(const LinearArgs& args, const uint8_t* panel_u8) {
    const std::byte* codes = reinterpret_cast<const std::byte*>(panel_u8);
    multiply_tokens<Kernel, Tile, 1, numbers_of_tokens...>(args, groups_of<Kernel>(*args.weights), codes);
}

// Past the given blocks of a token; past whole tokens, x.n_blocks blocks each.
GQ_INLINE Q8Rows advance(const Q8Rows& x, size_t blocks) {
    return {x.values + blocks * q8_block, x.scales + blocks, x.sums + blocks * 2, x.n_blocks};
}

// The counts of a walk over one matrix: group by group, in each tile by tile.
template <class Tile>
struct Walk {
    size_t n_tiles, n_groups, group_tiles, panel_bytes;
};
template <class Tile>
GQ_INLINE Walk<Tile> walk_of(const PackedMatrix& w) {
    return {w.n_tiles(), w.n_groups(), w.tiles_per_group(), w.n_tiles() * Tile::bytes};
}
// One past the last tile of the group that begins at tile b; the last group may be short.
template <class Tile>
GQ_INLINE size_t group_end(const Walk<Tile>& walk, size_t b) {
    return walk.n_tiles - b < walk.group_tiles ? walk.n_tiles : b + walk.group_tiles;
}

// Four activations, or two sums, of one token.
GQ_INLINE int load_word(const void* four_bytes) {
    int word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return word;
}

// The 8-bit layout of a tile, which codes_int8 stores, unpack gives and gemm_u8s8 reads.
using U8Plane = BitPlane<8>;
static_assert(U8Plane::bytes == tile_values);

// Decode works on several panels at once. That hides the latency of the sums, and to the memory each panel is a stream
// of its own: four streams of int4 were read 1.3 times as fast as one, eight of f16 1.5 times as fast as a plain
// sequential read. Each stream is fetched ahead of its use, as far as all of them together stay in one way of a
// first-level cache.
inline constexpr size_t prefetched_bytes = 4096;

template <size_t bytes, int n_streams>
GQ_INLINE void prefetch_ahead(const std::byte* from) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + prefetched_bytes / n_streams + i);
}

}  // namespace gq
