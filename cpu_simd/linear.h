// The part of a linear layer that no instruction set changes: which panels and tokens go together, and who reads the
// grid.
// In: LinearArgs, a Tile (how codes stand in memory; its `bytes`), and a Kernel: multiply<Tile, n_tokens, n_panels>,
// how many panels and sums it takes side by side, and for integer codes, where it is made for groups of 16 inputs
// (`halves` of a block) or for longer ones, its Group (what one group of one panel means, in its vectors) with its
// read_run. Out: every row and token multiplied once. Must not know vectors or bits.
#pragma once

#include <string_view>

#include "core/packing/bit_plane.h"
#include "cpu_simd/isa.h"

namespace gq {

// The words of a block, 4 inputs each, that belong to one group: all 8, or of groups of 16 the first or the last 4.
enum class Part { whole, first, last };
constexpr int first_word(Part part) {
    return part == Part::last ? 4 : 0;
}
constexpr int end_word(Part part) {
    return part == Part::first ? 4 : 8;
}

// The scales and zero points of a matrix, and who reads them. Group g of panel p has index p * n_groups + g.
template <class Group>
struct Groups {
    const Grid* grid;
    unsigned bits;
    const std::byte* scales;
    const std::byte* zeros;
    size_t scale_bytes, zero_bytes;
    size_t n_groups, n_units;  // of a panel
    int unit_shift;            // groups of a unit, as a power of two
    // Of n groups from `index` on, all of one panel: group i at out[i * stride].
    void (*read)(const Groups& groups, size_t index, size_t n, size_t panel, size_t stride, Group* out);
};

// The records of a group: in the scales of a grid whose groups stand alone, and of any; in the zeros.
template <class Group>
GQ_INLINE const std::byte* scales_of(const Groups<Group>& groups, size_t index) {
    return groups.scales + index * groups.scale_bytes;
}
template <class Group>
GQ_INLINE const std::byte* unit_scales_of(const Groups<Group>& groups, size_t index, size_t panel) {
    const size_t g = index - panel * groups.n_groups;
    return groups.scales + (panel * groups.n_units + (g >> groups.unit_shift)) * groups.scale_bytes;
}
template <class Group>
GQ_INLINE const std::byte* zeros_of(const Groups<Group>& groups, size_t index) {
    return groups.zeros + index * groups.zero_bytes;
}
// What any grid can give, by its own unpack_group.
template <class Group>
GQ_INLINE GroupParams params_of(const Groups<Group>& groups, size_t index, size_t panel) {
    GroupParams params = {};
    groups.grid->unpack_group(unit_scales_of(groups, index, panel), zeros_of(groups, index), groups.bits, params);
    return params;
}

// How a group stands in memory: what chooses among an instruction set's read_group(). Unnamed around, so that what is
// made for these types is each file's own, as isa.h asks.
namespace {
namespace stored {
struct Symmetric {};  // the zero point is 2^(bits - 1)
struct Nibbles {};    // zero points as grid_zero_point.cpp draws them for codes of up to 4 bits
struct Bytes {};      // and for wider ones
struct Offset {};     // as grid_offset.cpp draws it
struct K {};          // as grid_k.cpp draws it
struct KSigned {};    // as grid_k_signed.cpp draws it
struct Any {};        // as params_of tells
}  // namespace stored
}  // namespace

template <class Group>
static Groups<Group> groups_of(const PackedMatrix& w) {
    static constexpr struct {
        std::string_view grid;
        size_t zero_bytes;
        decltype(Groups<Group>::read) read;
    } table[] = {{"symmetric", 0, Group::template read_run<stored::Symmetric>},
                 {"zero_point", panel_rows / 2, Group::template read_run<stored::Nibbles>},
                 {"zero_point", panel_rows, Group::template read_run<stored::Bytes>},
                 {"offset", 0, Group::template read_run<stored::Offset>},
                 {"k", 24, Group::template read_run<stored::K>},
                 {"k_signed", panel_rows, Group::template read_run<stored::KSigned>}};
    const size_t zero_bytes = w.grid->zero_bytes(w.codes->value_bits);
    decltype(Groups<Group>::read) read = Group::template read_run<stored::Any>;
    for (const auto& row : table)
        if (row.zero_bytes == zero_bytes && row.grid == w.grid->name) read = row.read;
    return {.grid = w.grid,
            .bits = w.codes->value_bits,
            .scales = w.scales,
            .zeros = w.zeros,
            .scale_bytes = w.grid->scale_bytes,
            .zero_bytes = zero_bytes,
            .n_groups = w.n_groups(),
            .n_units = w.n_units(),
            .unit_shift = __builtin_ctzll(w.unit_groups()),
            .read = read};
}
struct NoGroups {};  // float codes

// A Tile of panels that unpack expanded: they stand in a cache, many tokens read them, and few kernels are made of it.
template <class Tile>
struct Expanded : Tile {};
template <class Tile>
inline constexpr bool is_expanded = false;
template <class Tile>
inline constexpr bool is_expanded<Expanded<Tile>> = true;

// How many panels go together with n_tokens tokens.
template <class Kernel, class Tile>
constexpr int panels_together(int n_tokens, int max_panels) {
    if (is_expanded<Tile>) return max_panels;
    const int fitting = Kernel::max_sums / n_tokens;
    return fitting < 1 ? 1 : fitting < max_panels ? fitting : max_panels;
}
// And how many of these tokens with a panel that is left over: one, which saves the code of a kernel for each codes.
template <class Tile>
constexpr int tokens_of_left_panel(int n_tokens) {
    return is_expanded<Tile> ? n_tokens : 1;
}

// All panels of args, the first of which has its codes at `codes`, times n_tokens tokens.
template <class Kernel, class Tile, int max_panels, int n_tokens, class GroupsOrNone>
static void multiply_panels(const LinearArgs& args, const GroupsOrNone& groups, const std::byte* codes, size_t token) {
    constexpr size_t n_panels = panels_together<Kernel, Tile>(n_tokens, max_panels);
    constexpr int left_tokens = tokens_of_left_panel<Tile>(n_tokens);
    const size_t panel_bytes = args.weights->n_tiles() * Tile::bytes;
    size_t p = args.panel_begin;
    for (; args.panel_end - p >= n_panels; p += n_panels, codes += n_panels * panel_bytes)
        Kernel::template multiply<Tile, n_tokens, n_panels>(args, groups, codes, p, token);
    for (; n_panels > 1 && p < args.panel_end; ++p, codes += panel_bytes)
        for (size_t t = token; t < token + n_tokens; t += left_tokens)
            Kernel::template multiply<Tile, left_tokens, 1>(args, groups, codes, p, t);
}

// All tokens of args: n at a time, and those that are left in smaller numbers, the last of which must be 1.
template <class Kernel, class Tile, int max_panels, int n, int... fewer, class GroupsOrNone>
static void multiply_tokens(const LinearArgs& args, const GroupsOrNone& groups, const std::byte* codes,
                            size_t token = 0) {
    for (; args.n_tokens - token >= n; token += n)
        multiply_panels<Kernel, Tile, max_panels, n>(args, groups, codes, token);
    if constexpr (sizeof...(fewer) > 0) multiply_tokens<Kernel, Tile, max_panels, fewer...>(args, groups, codes, token);
}

// One call of a kernel of integer codes: panels side by side, and the numbers of tokens that it takes together.
template <class Kernel, class Tile, int max_panels, int... numbers_of_tokens>
static void multiply_integers(const LinearArgs& args, const std::byte* codes) {
    multiply_tokens<Kernel, Tile, max_panels, numbers_of_tokens...>(
        args, groups_of<typename Kernel::Group>(*args.weights), codes);
}

// Groups of 16 inputs are there for the smallest files: they decode up to two tokens at once, half the code of four.
template <template <bool halves> class Linear, class Tile>
static void gemv(const LinearArgs& args) {
    constexpr int max_panels = Linear<false>::max_panels;
    const std::byte* codes = args.weights->panel_codes(args.panel_begin);
    if (args.weights->group == half_tile_cols)
        multiply_integers<Linear<true>, Tile, max_panels, 2, 1>(args, codes);
    else
        multiply_integers<Linear<false>, Tile, max_panels, 4, 2, 1>(args, codes);
}
template <class Kernel, class Tile>
static void gemv_floats(const LinearArgs& args) {
    const std::byte* codes = args.weights->panel_codes(args.panel_begin);
    multiply_tokens<Kernel, Tile, Kernel::max_panels, 4, 2, 1>(args, NoGroups{}, codes);
}

// Panels in 8-bit layout, max_panels side by side, times up to the first of numbers_of_tokens tokens.
template <template <bool halves> class Linear, class Tile, int max_panels, int... numbers_of_tokens>
static void gemm_u8s8(const LinearArgs& args, const uint8_t* panels_u8) {
    const auto* codes = reinterpret_cast<const std::byte*>(panels_u8);
    if (args.weights->group == half_tile_cols)
        multiply_integers<Linear<true>, Expanded<Tile>, max_panels, numbers_of_tokens...>(args, codes);
    else
        multiply_integers<Linear<false>, Expanded<Tile>, max_panels, numbers_of_tokens...>(args, codes);
}

// Past the given blocks of a token; past whole tokens, x.n_blocks blocks each.
GQ_INLINE Q8Rows advance(const Q8Rows& x, size_t blocks) {
    return {x.values + blocks * q8_block, x.scales + blocks, x.sums + blocks * 2, x.n_blocks};
}

// The counts of a walk over one matrix: group by group, in each tile by tile.
template <class Tile>
struct TileWalk {
    size_t n_tiles, n_groups, group_tiles, panel_bytes;
};
template <class Tile, class Group>
GQ_INLINE TileWalk<Tile> walk_of(const PackedMatrix& w, const Groups<Group>& groups) {
    return {w.n_tiles(), groups.n_groups, w.group_cols() / tile_cols, w.n_tiles() * Tile::bytes};
}
// One past the last tile of the group that begins at tile b; the last group may be short.
template <class Tile>
GQ_INLINE size_t group_end(const TileWalk<Tile>& walk, size_t b) {
    return walk.n_tiles - b < walk.group_tiles ? walk.n_tiles : b + walk.group_tiles;
}

// Four activations, or two sums, of one token.
GQ_INLINE int load_word(const void* four_bytes) {
    int word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return word;
}
// The two sums of a token; that of the other part is 0.
template <Part part>
GQ_INLINE int load_sums(const int16_t* sums) {
    return load_word(sums) & (part == Part::whole ? -1 : part == Part::first ? 0xffff : ~0xffff);
}

// The 8-bit layout of a tile, which codes_int8 stores, unpack gives and gemm_u8s8 reads.
using U8Plane = BitPlane<8>;
static_assert(U8Plane::bytes == tile_values);

// A tile of 16-bit floats, 32 inputs of 16 rows; each instruction set adds its rows(input …).
struct Tile16 {
    static constexpr size_t bytes = tile_values * sizeof(uint16_t);
    static constexpr size_t input_bytes = panel_rows * sizeof(uint16_t);
};

// Decode works on several panels at once. That hides the latency of the sums, and to the memory each panel is a stream
// of its own. Each stream is fetched ahead of its use, into the second-level cache: what is further ahead than the
// first level has room for would push out what is about to be used. Past the end of a panel the stream goes on in the
// panels that come next, n_panels further; straight on there is a panel that is being read. On Zen 3 with two threads
// that, and two streams instead of four, read int3 1.5 times as fast, int2 1.3 and int4 1.1 times; a distance of 65536
// bytes, or the first level, as fast.
inline constexpr size_t prefetched_bytes = 16384;
inline constexpr int second_level = 2;  // a locality of __builtin_prefetch

// From step i of n, step_bytes each, of one of n_panels panels to what is to be fetched meanwhile.
template <size_t step_bytes, int n_panels>
GQ_INLINE size_t bytes_ahead(size_t i, size_t n) {
    constexpr size_t wanted = prefetched_bytes / n_panels / step_bytes;
    const size_t steps = wanted < n ? wanted : n;
    return (i + steps < n ? steps : steps + (n_panels - 1) * n) * step_bytes;
}
template <size_t bytes>
GQ_INLINE void prefetch(const std::byte* from) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, second_level);
}
GQ_INLINE void prefetch(const std::byte* from, const std::byte* end) {
    for (; from < end; from += 64) prefetch<1>(from);
}

// Groups are read a run of them at a time: reading is a call, around which the walk has to put away its sums, and costs
// more than what it reads.
inline constexpr size_t run_groups = 8;

// The run of groups that begins at g, of n_panels panels. That of the panels that come next is fetched meanwhile:
// groups are read too seldom for the machine to see a stream.
template <class Tile, int n_panels, class Group>
GQ_INLINE void read_groups(const Groups<Group>& groups, size_t first_panel, size_t g,
                           Group (&out)[run_groups][n_panels]) {
    const size_t left = groups.n_groups - g, n = left < run_groups ? left : run_groups;
    for (int p = 0; p < n_panels; ++p) {
        const size_t panel = first_panel + p, index = panel * groups.n_groups + g;
        if (n_panels > 1 && !is_expanded<Tile>) {
            const size_t next = index + n_panels * groups.n_groups, next_panel = panel + n_panels;
            prefetch(unit_scales_of(groups, next, next_panel),
                     unit_scales_of(groups, next + n - 1, next_panel) + groups.scale_bytes);
            prefetch(zeros_of(groups, next), zeros_of(groups, next + n));
        }
        groups.read(groups, index, n, panel, n_panels, &out[0][p]);
    }
}
// Block b of n_panels panels, a walk's panel_bytes apart, the first of which has it at `tile`. A single one is what is
// left over of a thread's range.
template <int n_panels, class Tile>
GQ_INLINE void prefetch_panels(const TileWalk<Tile>& walk, size_t b, const std::byte* tile) {
    if (n_panels == 1 || is_expanded<Tile>) return;
    const size_t ahead = bytes_ahead<Tile::bytes, n_panels>(b, walk.n_tiles);
    for (int p = 0; p < n_panels; ++p) prefetch<Tile::bytes>(tile + p * walk.panel_bytes + ahead);
}

}  // namespace gq
