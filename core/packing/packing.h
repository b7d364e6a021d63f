// The door to packed weights: which bit is which weight, and what scales and zero points mean.
// In: codes or floats in logical (row, col) order.
// Out: panels of bytes in the one layout of .gq (formats/gq_file.md draws it), and back.
// Codes (bits ↔ codes) and grids (codes ↔ values) are separate and found by name; adding one is one new file.
// Must not know files, models, kernels or ISAs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gq {

inline constexpr size_t panel_rows = 16;                 // output rows of a panel: one SIMD lane each
inline constexpr size_t tile_cols = 32;                  // inputs of a tile; also the activation block
inline constexpr size_t half_tile_cols = tile_cols / 2;  // the smallest group
inline constexpr size_t tile_values = panel_rows * tile_cols;
inline constexpr size_t max_unit_groups = 16;  // of Grid::unit_groups

// Inputs that may share a scale: half a tile, whole tiles, or 0 for the whole row.
constexpr bool is_group(size_t group) {
    return group == half_tile_cols || group % tile_cols == 0;
}
inline constexpr char group_words[] = "16, a multiple of 32, or 0 for the whole row";  // the same, in messages

// One way to lay codes out. Each codes_X.cpp defines one constant and draws its bits.
struct Codes {
    const char* name;     // "int4"
    unsigned bits;        // per weight, as stored
    unsigned value_bits;  // of a code as grids and kernels see it: bits, or 8 where those choose from a table; 0: float
    bool is_float;        // f16, bf16, f32: the value itself; no grid
    size_t tile_bytes;    // bytes of one tile of 16 rows x 32 inputs
    // (256): the code nearest to each 8-bit number, where codes are the entries of a table; null where all exist.
    const uint8_t* nearest;
    // Integer codes: (16, 32) codes of a tile, each < 2^value_bits, one per byte ↔ tile_bytes; of a table the nearest
    // one is stored. Null for floats.
    void (*pack_codes)(const uint8_t* codes, std::byte* tile);
    void (*unpack_codes)(const std::byte* tile, uint8_t* codes);
    // Float codes: n floats ↔ n elements of bits / 8 bytes (rounded to nearest even). Null for integers.
    // A tile is (32, 16) elements, the order of unpack_panel_f32; a row of a row-major matrix is `cols` elements.
    void (*pack_floats)(const float* values, size_t n, std::byte* elements);
    void (*unpack_floats)(const std::byte* elements, size_t n, float* values);
};

// The code that stands for 0 where no zero point is stored and there are no offsets.
constexpr uint8_t middle_code(unsigned bits) {
    return static_cast<uint8_t>(1u << (bits - 1));
}

// What one group of one panel means: value = scale[row] * (code - zero_point[row]) + offset[row].
struct GroupParams {
    float scale[panel_rows];
    int32_t zero_point[panel_rows];
    float offset[panel_rows];  // 0 where the grid has no offsets
};

// The same for one row: what a search for grids gives.
struct GroupGrid {
    float scale = 1;  // finite, above 0
    uint8_t zero_point = 0;
    float offset = 0;

    // Each operation is rounded by itself.
    float value(float code) const { return scale * (code - static_cast<float>(zero_point)) + offset; }
};

// One way to store scales, zero points and offsets, and what it can express. Each grid_X.cpp defines one constant.
// "scales" is an array of (panels, units) records, "zeros" of (panels, groups) records of what each group has beside.
struct Grid {
    const char* name;        // "zero_point", "symmetric", "offset"
    size_t scale_bytes;      // per panel and unit; halves
    const char* zeros_part;  // a file's name for the zeros, "zeros"; null where there are none
    bool has_zeros;          // whether the zero point of a group is stored, not implied
    bool has_offsets;        // whether the offset of a group can differ from 0
    // A unit: consecutive groups of a row whose numbers are stored relative to each other. 1: each stands alone; a
    // power of two, at most max_unit_groups.
    size_t (*unit_groups)(size_t group);
    size_t (*zero_bytes)(unsigned bits);  // per panel and group; 0 where there are none
    // The n groups of one unit, at its records. scale[] and offset[] must already be exactly representable as stored;
    // zero_point[] in [0, 2^bits - 1].
    void (*pack_unit)(const GroupParams* groups, size_t n, unsigned bits, std::byte* scales, std::byte* zeros);
    // One group, from the record of its unit and its own.
    void (*unpack_group)(const std::byte* scales, const std::byte* zeros, unsigned bits, GroupParams& params);
    // The grid whose codes span [low, high], low <= 0 <= high, as it is stored; 0 is a value of it unless the grid has
    // offsets. A group of zeros (low == high) gets scale 1. The scale is infinite where the stored type has none so
    // large.
    GroupGrid (*span)(float low, float high, unsigned bits);
    // The stored grid nearest to value = scale * code + offset, scale > 0.
    GroupGrid (*nearest)(float scale, float offset, unsigned bits);
    // Turns the grids of the n groups of one unit of one row into what is stored of them together. Null where units are
    // single groups.
    void (*settle)(GroupGrid* groups, size_t n, unsigned bits);
};

// nullptr when the name is unknown. all_* list every registered one, in the order of their file names.
const Codes* find_codes(std::string_view name);
const Grid* find_grid(std::string_view name);
// The integer codes of that width, all of which exist; nullptr when there are none.
const Codes* find_integer_codes(unsigned bits);
std::span<const Codes* const> all_codes();
std::span<const Grid* const> all_grids();

// A packed weight matrix: a view; the bytes belong to a mapping or a buffer that must outlive it.
// `panels`: tiles in the order panel, tile; padded to 16 rows and 32 inputs, in integer codes so that every integer sum
//   over padding is exactly 0 whatever the activations hold there (in float codes with 0):
//   - padding inputs of a row: code = zero_point of the row's last group (of a table the nearest, for activations 0);
//   - padding rows: scale and offset 0, zero_point 0 where the grid stores one, code = zero_point.
// `row_major`, float codes only: logical rows one after another without padding, as a float checkpoint has them.
struct PackedMatrix {
    enum class Layout : uint8_t { panels, row_major };

    const Codes* codes = nullptr;
    const Grid* grid = nullptr;  // null for float codes
    Layout layout = Layout::panels;
    size_t rows = 0, cols = 0;  // logical (out, in)
    size_t group = 0;           // inputs per scale, 16 or a multiple of 32; 0: one scale for the whole row
    const std::byte* code_bytes = nullptr;
    const std::byte* scales = nullptr;
    const std::byte* zeros = nullptr;

    size_t n_panels() const { return (rows + panel_rows - 1) / panel_rows; }
    size_t n_tiles() const { return (cols + tile_cols - 1) / tile_cols; }
    size_t group_cols() const { return group == 0 ? n_tiles() * tile_cols : group; }
    size_t n_groups() const { return group == 0 ? 1 : (cols + group - 1) / group; }
    size_t unit_groups() const { return grid->unit_groups(group); }
    size_t n_units() const { return (n_groups() + unit_groups() - 1) / unit_groups(); }
    size_t panel_code_bytes() const { return n_tiles() * codes->tile_bytes; }
    const std::byte* panel_codes(size_t panel) const { return code_bytes + panel * panel_code_bytes(); }
    // The records of a group: that of its unit, and its own (null where the grid has none).
    const std::byte* group_scales(size_t panel, size_t g) const {
        return scales + (panel * n_units() + g / unit_groups()) * grid->scale_bytes;
    }
    const std::byte* group_zeros(size_t panel, size_t g) const {
        return grid->zeros_part ? zeros + (panel * n_groups() + g) * grid->zero_bytes(codes->value_bits) : nullptr;
    }
};

// Sizes of the parts of a (rows, cols) matrix in panels. Error(invalid_argument) on overflow, a zero dimension, a group
// that is_group refuses, a grid for float codes or none for integers: a shape that passes is safe for everything above
// and below.
struct PackedSizes {
    size_t code_bytes = 0, scale_bytes = 0, zero_bytes = 0;
};
PackedSizes packed_sizes(const Codes& codes, const Grid* grid, size_t rows, size_t cols, size_t group);

// Logical quantized weights: what a solver gives and a packer takes.
struct LogicalWeights {
    size_t rows = 0, cols = 0, group = 0;
    const uint8_t* codes = nullptr;        // (rows, cols)
    const float* scales = nullptr;         // (rows, groups), exactly as the grid stores them
    const uint8_t* zero_points = nullptr;  // (rows, groups); ignored by grids that store none
    const float* offsets = nullptr;        // (rows, groups); ignored by grids without offsets
};

// Packs panels [panel_begin, panel_end) into buffers that hold the whole matrix's parts (packed_sizes), so that threads
// can share the work. The shape must have passed packed_sizes. zeros may be null for a grid that has none.
void pack_panels(const LogicalWeights& weights, const Codes& codes, const Grid& grid, size_t panel_begin,
                 size_t panel_end, std::byte* code_bytes, std::byte* scales, std::byte* zeros);
// The same for float codes; values (rows, cols) with row stride `stride`.
void pack_float_panels(const float* values, size_t stride, size_t rows, size_t cols, const Codes& codes,
                       size_t panel_begin, size_t panel_end, std::byte* code_bytes);

// Rows [row_begin, row_end) as floats: scale * (code - zero_point) + offset, each operation rounded. out has row stride
// `stride` >= cols.
void unpack_rows(const PackedMatrix& matrix, size_t row_begin, size_t row_end, float* out, size_t stride);

// A whole panel as floats in the order that gemm_f32 reads: out[k * 16 + lane], k < 32 * n_tiles(); padding rows and
// inputs are 0.
void unpack_panel_f32(const PackedMatrix& matrix, size_t panel, float* out);

}  // namespace gq
