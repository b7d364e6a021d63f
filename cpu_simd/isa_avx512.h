// The integer linear layer in AVX-512 with VNNI: one walk for decode and prefill, for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into 8-bit words, activations in 8 bits. Out: y under the gemv contract of kernels.h.
// One zmm is 16 rows x 4 inputs, so a lane is a row: vpdpbusd takes it with 4 activations broadcast from memory, no sum crosses lanes, and
// scales apply as vectors. The zero point starts the int32 sum: vpdpwssd with the block's two int16 sums. Must not know where bits lie.
#pragma once

#include <string_view>

#include "cpu_simd/isa.h"

namespace gq::avx512 {

GQ_TARGET_AVX512

// What one group of one panel means, a lane a row.
struct Group {
    __m512 scale;
    __m512i start;  // -zero_point, twice in int16
};

// The scales and zero points of one panel, one group after another.
struct PanelGroups {
    const Grid* grid;
    unsigned bits;
    const std::byte* scales;
    const std::byte* zeros;
    size_t scale_bytes, zero_bytes;
};

GQ_INLINE __m512 read_scales(const PanelGroups& p, size_t group) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.scales + group * p.scale_bytes)));
}
GQ_INLINE __m512i pair_of_negatives(__m512i zero_points) {
    const __m512i negative = _mm512_sub_epi32(_mm512_setzero_si512(), zero_points);
    return _mm512_mask_mov_epi16(negative, 0xaaaaaaaa, _mm512_slli_epi32(negative, 16));
}

static inline void read_symmetric(const PanelGroups& p, size_t group, Group& out) {
    out.scale = read_scales(p, group);
    out.start = _mm512_set1_epi16(static_cast<short>(-(1 << (p.bits - 1))));
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
static inline void read_nibbles(const PanelGroups& p, size_t group, Group& out) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p.zeros + group * p.zero_bytes));
    const __m128i rows = _mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4));
    out.scale = read_scales(p, group);
    out.start = pair_of_negatives(_mm512_cvtepu8_epi32(_mm_and_si128(rows, _mm_set1_epi8(15))));
}
static inline void read_bytes(const PanelGroups& p, size_t group, Group& out) {
    const __m128i rows = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.zeros + group * p.zero_bytes));
    out.scale = read_scales(p, group);
    out.start = pair_of_negatives(_mm512_cvtepu8_epi32(rows));
}
static inline void read_any(const PanelGroups& p, size_t group, Group& out) {
    GroupParams params;
    p.grid->unpack_group(p.scales + group * p.scale_bytes, p.zeros + group * p.zero_bytes, p.bits, params);
    out.scale = _mm512_loadu_ps(params.scale);
    out.start = pair_of_negatives(_mm512_loadu_si512(params.zero_point));
}

GQ_TARGET_END

using ReadGroup = void (*)(const PanelGroups& p, size_t group, Group& out);

// How the grid of a matrix is read: by its own row here, else through the grid's own unpack_group.
static inline ReadGroup group_reader(const PackedMatrix& weights) {
    struct Row {
        std::string_view grid;
        unsigned max_bits;
        ReadGroup read;
    };
    static constexpr Row rows[] = {{"symmetric", 8, read_symmetric}, {"zero_point", 4, read_nibbles}, {"zero_point", 8, read_bytes}};
    for (const Row& row : rows)
        if (row.grid == weights.grid->name && weights.codes->bits <= row.max_bits) return row.read;
    return read_any;
}

GQ_TARGET_AVX512

// Four activations, or two sums, of one token as every lane's word.
GQ_INLINE __m512i broadcast_word(const void* four_bytes) {
    int word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return _mm512_set1_epi32(word);
}

// Where a panel stands in a multiplication: its codes, its groups, its first output row.
struct Panel {
    const std::byte* codes;
    PanelGroups groups;
    ReadGroup read;
    size_t first_row;
};

// A Tile names its `bytes` for 16 rows x 32 inputs, and word(tile, j), j < 8, gives inputs 4j … 4j + 3 of the 16 rows, a code a byte.

// acc[t] = fma(scale of the block, dot of the block, acc[t]) for n_blocks blocks one after another. stride: blocks of a token.
// The dots of all tokens and blocks run side by side: one vpdpbusd chain alone would wait 5 cycles a step. Indices are int: with size_t GCC 12
// keeps a pointer per token and word and fetches each from the stack.
template <class Tile, int n_tokens, int n_blocks>
GQ_INLINE void multiply_blocks(const std::byte* tile, const Q8Rows& x, __m512i start, __m512 (&acc)[n_tokens]) {
    __m512i dot[n_blocks][n_tokens];
#pragma GCC unroll 4
    for (int b = 0; b < n_blocks; ++b) {
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; ++t) {
            const __m512i sums = broadcast_word(x.sums + (t * x.n_blocks + b) * 2);
            dot[b][t] = _mm512_dpwssd_epi32(_mm512_setzero_si512(), start, sums);
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
#pragma GCC unroll 4
        for (int b = 0; b < n_blocks; ++b) {
            const __m512i codes = Tile::word(tile + b * Tile::bytes, j);
#pragma GCC unroll 16
            for (int t = 0; t < n_tokens; ++t) {
                const __m512i values = broadcast_word(x.values + (t * x.n_blocks + b) * q8_block + 4 * j);
                dot[b][t] = _mm512_dpbusd_epi32(dot[b][t], codes, values);
            }
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < n_blocks; ++b) {
#pragma GCC unroll 16
        for (int t = 0; t < n_tokens; ++t)
            acc[t] = _mm512_fmadd_ps(_mm512_set1_ps(x.scales[t * x.n_blocks + b]), _mm512_cvtepi32_ps(dot[b][t]), acc[t]);
    }
}

GQ_INLINE Q8Rows advance(const Q8Rows& x, size_t blocks) {
    return {x.values + blocks * q8_block, x.scales + blocks, x.sums + blocks * 2, x.n_blocks};
}

// One panel times n_tokens tokens.
template <class Tile, int n_tokens>
static void multiply_panel(const LinearArgs& args, const Panel& panel, size_t first_token) {
    constexpr size_t step = n_tokens == 1 ? 4 : n_tokens <= 4 ? 2 : 1;  // blocks side by side
    const PackedMatrix& w = *args.weights;
    const size_t n_tiles = w.n_tiles(), group_tiles = w.tiles_per_group();
    const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
    __m512 y[n_tokens], acc[n_tokens];
    for (int t = 0; t < n_tokens; ++t) y[t] = _mm512_setzero_ps();
    for (size_t g = 0, b = 0; b < n_tiles; ++g) {
        Group group;
        panel.read(panel.groups, g, group);
        for (int t = 0; t < n_tokens; ++t) acc[t] = _mm512_setzero_ps();
        const size_t end = n_tiles - b < group_tiles ? n_tiles : b + group_tiles;
        for (; end - b >= step; b += step)
            multiply_blocks<Tile, n_tokens, step>(panel.codes + b * Tile::bytes, advance(x, b), group.start, acc);
        for (; step > 1 && b < end; ++b)
            multiply_blocks<Tile, n_tokens, 1>(panel.codes + b * Tile::bytes, advance(x, b), group.start, acc);
        for (int t = 0; t < n_tokens; ++t) y[t] = _mm512_fmadd_ps(group.scale, acc[t], y[t]);
    }
    const size_t rows = w.rows - panel.first_row;
    const __mmask16 mask = static_cast<__mmask16>(rows < panel_rows ? (1u << rows) - 1 : 0xffff);
    for (int t = 0; t < n_tokens; ++t)
        _mm512_mask_storeu_ps(args.y + (first_token + t) * args.y_stride + panel.first_row, mask, y[t]);
}

// All tokens of one panel: n at a time, and those that are left in smaller numbers, the last of which must be 1.
template <class Tile, int n, int... fewer>
static void multiply_tokens(const LinearArgs& args, const Panel& panel, size_t first_token) {
    for (; args.n_tokens - first_token >= n; first_token += n) multiply_panel<Tile, n>(args, panel, first_token);
    if constexpr (sizeof...(fewer) > 0) multiply_tokens<Tile, fewer...>(args, panel, first_token);
}

// gemv and gemm_u8s8: the panels of args; the codes of the first one stand at `codes`, those of the next panel_bytes further.
template <class Tile, int... numbers_of_tokens>
static void multiply_panels(const LinearArgs& args, const std::byte* codes, size_t panel_bytes) {
    const PackedMatrix& w = *args.weights;
    const Grid& grid = *w.grid;
    const size_t zero_bytes = grid.has_zeros ? grid.zero_bytes(w.codes->bits) : 0;
    const ReadGroup read = group_reader(w);
    for (size_t p = args.panel_begin; p < args.panel_end; ++p, codes += panel_bytes) {
        const PanelGroups groups{&grid, w.codes->bits, w.panel_scales(p), w.panel_zeros(p), grid.scale_bytes, zero_bytes};
        multiply_tokens<Tile, numbers_of_tokens...>(args, {codes, groups, read, p * panel_rows}, 0);
    }
}

template <class Tile>
static void gemv(const LinearArgs& args) {
    multiply_panels<Tile, 4, 3, 2, 1>(args, args.weights->panel_codes(args.panel_begin), args.weights->panel_code_bytes());
}

template <class Tile>
static void unpack(const std::byte* panel_codes, size_t n_tiles, uint8_t* out) {
    for (size_t i = 0; i < n_tiles; ++i) {
        for (int j = 0; j < 8; ++j)
            _mm512_storeu_si512(out + i * tile_values + 64 * j, Tile::word(panel_codes + i * Tile::bytes, j));
    }
}

// The 8-bit layout: what codes_int8 stores, unpack gives and gemm_u8s8 reads.
struct TileU8 {
    static constexpr size_t bytes = tile_values;
    GQ_INLINE __m512i word(const std::byte* tile, int j) { return _mm512_loadu_si512(tile + 64 * j); }
};

GQ_TARGET_END

}  // namespace gq::avx512
