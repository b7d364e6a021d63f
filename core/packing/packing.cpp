// Cuts matrices into panels and tiles, and puts them together again. See packing.h.
// In: logical rows and columns. Out: the parts of a packed matrix, padding included.
// Must not know which bit is which code (codes_X.cpp) or how scales are stored (grid_X.cpp).
#include "core/packing/packing.h"

#include <algorithm>

#include "core/base/memory.h"
#include "core/base/status.h"

namespace gq {
namespace {

GroupParams unpack_group(const PackedMatrix& matrix, size_t panel, size_t group) {
    GroupParams params = {};
    matrix.grid->unpack_group(matrix.group_scales(panel, group), matrix.group_zeros(panel, group),
                              matrix.codes->value_bits, params);
    return params;
}

// --- integer codes ---------------------------------------------------------------------------------------------------

// What is to be stored of one group of one panel; padding rows have 0.
GroupParams gather_group(const LogicalWeights& weights, const Grid& grid, size_t panel, size_t at, size_t n_groups) {
    GroupParams params = {};
    for (size_t lane = 0; lane < std::min(panel_rows, weights.rows - panel * panel_rows); ++lane) {
        const size_t i = (panel * panel_rows + lane) * n_groups + at;
        params.scale[lane] = weights.scales[i];
        if (grid.has_zeros) params.zero_point[lane] = weights.zero_points[i];
        if (grid.has_offsets) params.offset[lane] = weights.offsets[i];
    }
    return params;
}

// Stores the groups of one panel, unit by unit. shape: of the whole matrix, without bytes.
void pack_groups(const LogicalWeights& weights, const PackedMatrix& shape, size_t panel, std::byte* scales,
                 std::byte* zeros) {
    const Grid& grid = *shape.grid;
    const size_t n_groups = shape.n_groups();
    GroupParams groups[max_unit_groups];
    for (size_t unit = 0; unit < shape.n_units(); ++unit) {
        const size_t first = unit * shape.unit_groups(), n = std::min(shape.unit_groups(), n_groups - first);
        for (size_t i = 0; i < n; ++i) groups[i] = gather_group(weights, grid, panel, first + i, n_groups);
        grid.pack_unit(
            groups, n, shape.codes->value_bits, scales + (panel * shape.n_units() + unit) * grid.scale_bytes,
            grid.zeros_part ? zeros + (panel * n_groups + first) * grid.zero_bytes(shape.codes->value_bits) : nullptr);
    }
}

// The (16, 32) codes of a tile, where there is no weight the zero point of the row's last group.
void gather_codes(const LogicalWeights& weights, const GroupParams& last, size_t panel, size_t tile, uint8_t* codes) {
    const size_t n_cols = std::min(tile_cols, weights.cols - tile * tile_cols);
    for (size_t lane = 0; lane < panel_rows; ++lane) {
        const size_t row = panel * panel_rows + lane;
        uint8_t* out = codes + lane * tile_cols;
        std::fill_n(out, tile_cols, static_cast<uint8_t>(last.zero_point[lane]));
        if (row < weights.rows) std::copy_n(weights.codes + row * weights.cols + tile * tile_cols, n_cols, out);
    }
}

// use(col, n, codes, params) for the n inputs from col on that share a tile and a group, in ascending order, without
// padding; codes[lane * 32] is that of input col.
template <typename Use>
void for_each_run(const PackedMatrix& matrix, size_t panel, const Use& use) {
    uint8_t codes[tile_values];
    GroupParams params;
    for (size_t col = 0; col < matrix.cols;) {
        if (col % tile_cols == 0)
            matrix.codes->unpack_codes(matrix.panel_codes(panel) + col / tile_cols * matrix.codes->tile_bytes, codes);
        if (col % matrix.group_cols() == 0) params = unpack_group(matrix, panel, col / matrix.group_cols());
        const size_t n = std::min({matrix.group_cols(), tile_cols, matrix.cols - col});
        use(col, n, codes + col % tile_cols, params);
        col += n;
    }
}

float value_of(const GroupParams& params, size_t lane, uint8_t code) {
    return params.scale[lane] * static_cast<float>(code - params.zero_point[lane]) + params.offset[lane];
}

void unpack_integer_rows(const PackedMatrix& matrix, size_t panel, size_t lane_begin, size_t lane_end, float* out,
                         size_t stride) {
    for_each_run(matrix, panel, [&](size_t col, size_t n, const uint8_t* codes, const GroupParams& params) {
        for (size_t lane = lane_begin; lane < lane_end; ++lane) {
            float* row = out + (lane - lane_begin) * stride + col;
            for (size_t k = 0; k < n; ++k) row[k] = value_of(params, lane, codes[lane * tile_cols + k]);
        }
    });
}

void unpack_integer_panel(const PackedMatrix& matrix, size_t panel, float* out) {
    for_each_run(matrix, panel, [&](size_t col, size_t n, const uint8_t* codes, const GroupParams& params) {
        float* first = out + col * panel_rows;
        for (size_t k = 0; k < n; ++k) {
            for (size_t lane = 0; lane < panel_rows; ++lane)
                first[k * panel_rows + lane] = value_of(params, lane, codes[lane * tile_cols + k]);
        }
    });
    std::fill(out + matrix.cols * panel_rows, out + matrix.n_tiles() * tile_values, 0.0f);
}

// --- float codes -----------------------------------------------------------------------------------------------------

size_t element_bytes(const Codes& codes) {
    return codes.bits / 8;
}

// Converts only the lanes that are asked for: an embedding lookup wants one of 16.
void unpack_float_rows(const PackedMatrix& matrix, size_t panel, size_t lane_begin, size_t lane_end, float* out,
                       size_t stride) {
    const size_t bytes = element_bytes(*matrix.codes);
    std::byte elements[tile_cols * sizeof(float)];
    for (size_t tile = 0; tile < matrix.n_tiles(); ++tile) {
        const std::byte* from = matrix.panel_codes(panel) + tile * matrix.codes->tile_bytes;
        const size_t n_cols = std::min(tile_cols, matrix.cols - tile * tile_cols);
        for (size_t lane = lane_begin; lane < lane_end; ++lane) {
            for (size_t k = 0; k < n_cols; ++k) {
                std::copy_n(from + (k * panel_rows + lane) * bytes, bytes, elements + k * bytes);
            }
            matrix.codes->unpack_floats(elements, n_cols, out + (lane - lane_begin) * stride + tile * tile_cols);
        }
    }
}

const std::byte* row_major_elements(const PackedMatrix& matrix, size_t row, size_t col) {
    return matrix.code_bytes + (row * matrix.cols + col) * element_bytes(*matrix.codes);
}

void unpack_row_major_panel(const PackedMatrix& matrix, size_t panel, float* out) {
    std::fill_n(out, matrix.n_tiles() * tile_values, 0.0f);
    float values[tile_cols];
    for (size_t lane = 0; lane < std::min(panel_rows, matrix.rows - panel * panel_rows); ++lane) {
        for (size_t col = 0; col < matrix.cols; col += tile_cols) {
            const size_t n_cols = std::min(tile_cols, matrix.cols - col);
            matrix.codes->unpack_floats(row_major_elements(matrix, panel * panel_rows + lane, col), n_cols, values);
            for (size_t k = 0; k < n_cols; ++k) out[(col + k) * panel_rows + lane] = values[k];
        }
    }
}

}  // namespace

PackedSizes packed_sizes(const Codes& codes, const Grid* grid, size_t rows, size_t cols, size_t group) {
    constexpr size_t limit = SIZE_MAX / 2;  // room for rounding up
    if (rows == 0 || cols == 0 || rows > limit || cols > limit)
        fail(Status::invalid_argument, "packed matrix: expected at least 1 row and 1 column, found %zu x %zu", rows,
             cols);
    if (!is_group(group) || group > limit)
        fail(Status::invalid_argument, "packed matrix: group: expected %s, found %zu", group_words, group);
    if (codes.is_float != (grid == nullptr))
        fail(Status::invalid_argument, "packed matrix: expected %s for codes %s, found %s",
             codes.is_float ? "no grid" : "a grid", codes.name, grid ? grid->name : "none");
    const PackedMatrix shape{.codes = &codes, .grid = grid, .rows = rows, .cols = cols, .group = group};
    const size_t tiles = checked_mul(shape.n_panels(), shape.n_tiles(), "tiles of a packed matrix");
    PackedSizes sizes{.code_bytes = checked_mul(tiles, codes.tile_bytes, "codes of a packed matrix")};
    if (grid) {
        const size_t units = checked_mul(shape.n_panels(), shape.n_units(), "units of a packed matrix");
        const size_t groups = checked_mul(shape.n_panels(), shape.n_groups(), "groups of a packed matrix");
        sizes.scale_bytes = checked_mul(units, grid->scale_bytes, "scales of a packed matrix");
        sizes.zero_bytes = checked_mul(groups, grid->zero_bytes(codes.value_bits), "zero points of a packed matrix");
    }
    return sizes;
}

void pack_panels(const LogicalWeights& weights, const Codes& codes, const Grid& grid, size_t panel_begin,
                 size_t panel_end, std::byte* code_bytes, std::byte* scales, std::byte* zeros) {
    const PackedMatrix packed{.codes = &codes,
                              .grid = &grid,
                              .rows = weights.rows,
                              .cols = weights.cols,
                              .group = weights.group,
                              .scales = scales,
                              .zeros = zeros};
    uint8_t tile_codes[tile_values];
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
        pack_groups(weights, packed, panel, scales, zeros);
        const GroupParams last = unpack_group(packed, panel, packed.n_groups() - 1);
        for (size_t tile = 0; tile < packed.n_tiles(); ++tile) {
            gather_codes(weights, last, panel, tile, tile_codes);
            codes.pack_codes(tile_codes, code_bytes + panel * packed.panel_code_bytes() + tile * codes.tile_bytes);
        }
    }
}

void pack_float_panels(const float* values, size_t stride, size_t rows, size_t cols, const Codes& codes,
                       size_t panel_begin, size_t panel_end, std::byte* code_bytes) {
    float tile_floats[tile_values];  // (32, 16)
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
        const size_t n_rows = std::min(panel_rows, rows - panel * panel_rows);
        for (size_t tile = 0; tile < div_up(cols, tile_cols); ++tile) {
            const size_t n_cols = std::min(tile_cols, cols - tile * tile_cols);
            std::fill_n(tile_floats, tile_values, 0.0f);
            for (size_t lane = 0; lane < n_rows; ++lane) {
                const float* row = values + (panel * panel_rows + lane) * stride + tile * tile_cols;
                for (size_t k = 0; k < n_cols; ++k) tile_floats[k * panel_rows + lane] = row[k];
            }
            codes.pack_floats(tile_floats, tile_values,
                              code_bytes + (panel * div_up(cols, tile_cols) + tile) * codes.tile_bytes);
        }
    }
}

void unpack_rows(const PackedMatrix& matrix, size_t row_begin, size_t row_end, float* out, size_t stride) {
    if (matrix.layout == PackedMatrix::Layout::row_major) {
        for (size_t row = row_begin; row < row_end; ++row, out += stride) {
            matrix.codes->unpack_floats(row_major_elements(matrix, row, 0), matrix.cols, out);
        }
        return;
    }
    const auto unpack = matrix.codes->is_float ? unpack_float_rows : unpack_integer_rows;
    for (size_t row = row_begin; row < row_end;) {
        const size_t panel = row / panel_rows, lane = row % panel_rows;
        const size_t n_rows = std::min(panel_rows - lane, row_end - row);
        unpack(matrix, panel, lane, lane + n_rows, out, stride);
        row += n_rows;
        out += n_rows * stride;
    }
}

void unpack_panel_f32(const PackedMatrix& matrix, size_t panel, float* out) {
    if (matrix.layout == PackedMatrix::Layout::row_major) return unpack_row_major_panel(matrix, panel, out);
    if (!matrix.codes->is_float) return unpack_integer_panel(matrix, panel, out);
    matrix.codes->unpack_floats(matrix.panel_codes(panel), matrix.n_tiles() * tile_values, out);
}

}  // namespace gq
