// The integer linear layer in AVX2: one walk for decode and prefill, for all codes and all grids.
// In: panels of codes that a Tile knows how to spread into nibbles, activations in 8 bits. Out: y under the gemv contract of kernels.h.
// One ymm is 8 rows x 4 inputs, half of a panel: vpmaddubsw multiplies codes with 4 broadcast activations and adds pairs, saturating at 16 bits.
// Nibbles can't reach that: 8 words add up to at most 8 * 2 * 15 * 127 = 30480, so a block of 32 inputs is summed in 16 bits and widened once.
// Codes above 4 bits are two nibbles with a sum each. Must not know where bits lie.
#pragma once

#include <string_view>

#include "cpu_simd/isa.h"

namespace gq::avx2 {

GQ_TARGET_AVX2

// What one group of one panel means, a lane a row, rows 0-7 and 8-15.
struct Group {
    __m256 scale[2];
    __m256i start[2];  // -zero_point, twice in int16
};

// The scales and zero points of one panel, one group after another.
struct PanelGroups {
    const Grid* grid;
    unsigned bits;
    const std::byte* scales;
    const std::byte* zeros;
    size_t scale_bytes, zero_bytes;
};

GQ_INLINE void read_scales(const PanelGroups& p, size_t group, Group& out) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p.scales + group * p.scale_bytes);
    out.scale[0] = _mm256_cvtph_ps(_mm_loadu_si128(halves));
    out.scale[1] = _mm256_cvtph_ps(_mm_loadu_si128(halves + 1));
}
GQ_INLINE __m256i pair_of_negatives(__m256i zero_points) {
    const __m256i negative = _mm256_sub_epi32(_mm256_setzero_si256(), zero_points);
    return _mm256_blend_epi16(negative, _mm256_slli_epi32(negative, 16), 0xaa);
}
GQ_INLINE void start_from_bytes(__m128i rows, Group& out) {
    out.start[0] = pair_of_negatives(_mm256_cvtepu8_epi32(rows));
    out.start[1] = pair_of_negatives(_mm256_cvtepu8_epi32(_mm_srli_si128(rows, 8)));
}

static inline void read_symmetric(const PanelGroups& p, size_t group, Group& out) {
    read_scales(p, group, out);
    out.start[0] = out.start[1] = _mm256_set1_epi16(static_cast<short>(-(1 << (p.bits - 1))));
}
// Byte i holds row 2i in its low nibble and row 2i + 1 in its high one.
static inline void read_nibbles(const PanelGroups& p, size_t group, Group& out) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p.zeros + group * p.zero_bytes));
    const __m128i rows = _mm_unpacklo_epi8(bytes, _mm_srli_epi16(bytes, 4));
    read_scales(p, group, out);
    start_from_bytes(_mm_and_si128(rows, _mm_set1_epi8(15)), out);
}
static inline void read_bytes(const PanelGroups& p, size_t group, Group& out) {
    read_scales(p, group, out);
    start_from_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p.zeros + group * p.zero_bytes)), out);
}
static inline void read_any(const PanelGroups& p, size_t group, Group& out) {
    GroupParams params;
    p.grid->unpack_group(p.scales + group * p.scale_bytes, p.zeros + group * p.zero_bytes, p.bits, params);
    for (size_t half = 0; half < 2; ++half) {
        out.scale[half] = _mm256_loadu_ps(params.scale + 8 * half);
        out.start[half] = pair_of_negatives(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(params.zero_point + 8 * half)));
    }
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

GQ_TARGET_AVX2

// Four activations, or two sums, of one token as every lane's word.
GQ_INLINE __m256i broadcast_word(const void* four_bytes) {
    int word;
    __builtin_memcpy(&word, four_bytes, sizeof word);
    return _mm256_set1_epi32(word);
}

// Where a panel stands in a multiplication: its codes, its groups, its first output row.
struct Panel {
    const std::byte* codes;
    PanelGroups groups;
    ReadGroup read;
    size_t first_row;
};

// A Tile names its `bytes` for 16 rows x 32 inputs and its `nibbles` per code (1 or 2). word(tile, j, half), j < 8, gives inputs 4j … 4j + 3 of
// rows 8 half … 8 half + 7, a code a byte.

// acc[t] = fma(scale of the block, dot of the block, acc[t]) for half a panel.
template <class Tile, int n_tokens>
GQ_INLINE void multiply_block(const std::byte* tile, int half, const Q8Rows& x, __m256i start, __m256 (&acc)[n_tokens]) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i low[n_tokens], high[n_tokens];
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) low[t] = high[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
        const __m256i codes = Tile::word(tile, j, half);
        const __m256i low_codes = Tile::nibbles == 1 ? codes : _mm256_and_si256(codes, nibble);
        const __m256i high_codes = _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble);
#pragma GCC unroll 8
        for (int t = 0; t < n_tokens; ++t) {
            const __m256i values = broadcast_word(x.values + t * x.n_blocks * q8_block + 4 * j);
            low[t] = _mm256_add_epi16(low[t], _mm256_maddubs_epi16(low_codes, values));
            if (Tile::nibbles == 2) high[t] = _mm256_add_epi16(high[t], _mm256_maddubs_epi16(high_codes, values));
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n_tokens; ++t) {
        __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(start, broadcast_word(x.sums + t * x.n_blocks * 2)),
                                       _mm256_madd_epi16(low[t], _mm256_set1_epi16(1)));
        if (Tile::nibbles == 2) dot = _mm256_add_epi32(dot, _mm256_madd_epi16(high[t], _mm256_set1_epi16(16)));
        acc[t] = _mm256_fmadd_ps(_mm256_set1_ps(x.scales[t * x.n_blocks]), _mm256_cvtepi32_ps(dot), acc[t]);
    }
}

GQ_INLINE Q8Rows advance(const Q8Rows& x, size_t blocks) {
    return {x.values + blocks * q8_block, x.scales + blocks, x.sums + blocks * 2, x.n_blocks};
}

// All ones in lane i where 8 half + i < rows.
GQ_INLINE __m256i row_mask(size_t rows, int half) {
    const int n = static_cast<int>(rows < panel_rows ? rows : panel_rows) - 8 * half;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// One panel times n_tokens tokens.
template <class Tile, int n_tokens>
static void multiply_panel(const LinearArgs& args, const Panel& panel, size_t first_token) {
    const PackedMatrix& w = *args.weights;
    const size_t n_tiles = w.n_tiles(), group_tiles = w.tiles_per_group();
    const Q8Rows x = advance(args.q8, first_token * args.q8.n_blocks);
    __m256 y[2][n_tokens], acc[2][n_tokens];
    for (int t = 0; t < n_tokens; ++t) y[0][t] = y[1][t] = _mm256_setzero_ps();
    for (size_t g = 0, b = 0; b < n_tiles; ++g) {
        Group group;
        panel.read(panel.groups, g, group);
        for (int t = 0; t < n_tokens; ++t) acc[0][t] = acc[1][t] = _mm256_setzero_ps();
        const size_t end = n_tiles - b < group_tiles ? n_tiles : b + group_tiles;
        for (; b < end; ++b) {
            const std::byte* tile = panel.codes + b * Tile::bytes;
            prefetch_ahead<Tile::bytes, 1>(tile);
            multiply_block<Tile, n_tokens>(tile, 0, advance(x, b), group.start[0], acc[0]);
            multiply_block<Tile, n_tokens>(tile, 1, advance(x, b), group.start[1], acc[1]);
        }
        for (int half = 0; half < 2; ++half)
            for (int t = 0; t < n_tokens; ++t) y[half][t] = _mm256_fmadd_ps(group.scale[half], acc[half][t], y[half][t]);
    }
    for (int half = 0; half < 2; ++half) {
        const __m256i mask = row_mask(w.rows - panel.first_row, half);
        for (int t = 0; t < n_tokens; ++t)
            _mm256_maskstore_ps(args.y + (first_token + t) * args.y_stride + panel.first_row + 8 * half, mask, y[half][t]);
    }
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
    for (size_t i = 0; i < n_tiles; ++i)
        for (int j = 0; j < 8; ++j)
            for (int half = 0; half < 2; ++half)
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i * tile_values + 64 * j + 32 * half),
                                    Tile::word(panel_codes + i * Tile::bytes, j, half));
}

// The 8-bit layout: what codes_int8 stores, unpack gives and gemm_u8s8 reads. nibbles: how much of a byte the codes use.
template <int n>
struct TileU8 {
    static constexpr size_t bytes = tile_values;
    static constexpr int nibbles = n;
    GQ_INLINE __m256i word(const std::byte* tile, int j, int half) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile + 64 * j + 32 * half));
    }
};

GQ_TARGET_END

}  // namespace gq::avx2
