// Packs panels in parallel and hands them to the writer. See packed_writer.h.
// In: codes with their grids, or floats. Out: the parts of a matrix in memory, and a tensor in the file.
// Must not know how codes were found.
#include "core/quantize/packed_writer.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"

namespace gq {
namespace {

const Codes& integer_codes(unsigned bits) {
    const Codes* codes = find_integer_codes(bits);
    if (!codes) fail(Status::unsupported, "no codes of %u bits are known", bits);
    return *codes;
}

std::span<const std::byte> bytes_of(const AlignedBuffer<std::byte>& buffer) {
    return {buffer.data(), buffer.size()};
}

PackedTensor with_room(const Codes& codes, const Grid* grid, size_t rows, size_t cols, size_t group) {
    const PackedSizes sizes = packed_sizes(codes, grid, rows, cols, group);
    PackedTensor tensor;
    tensor.codes = AlignedBuffer<std::byte>(sizes.code_bytes);
    tensor.scales = AlignedBuffer<std::byte>(sizes.scale_bytes);
    tensor.zeros = AlignedBuffer<std::byte>(sizes.zero_bytes);
    tensor.matrix = {.codes = &codes,
                     .grid = grid,
                     .layout = PackedMatrix::Layout::panels,
                     .rows = rows,
                     .cols = cols,
                     .group = group,
                     .code_bytes = tensor.codes.data(),
                     .scales = tensor.scales.data(),
                     .zeros = tensor.zeros.data()};
    return tensor;
}

}  // namespace

PackedTensor room_for_codes(size_t rows, size_t cols, const GridOptions& grid) {
    return with_room(grid.codes ? *grid.codes : integer_codes(grid.bits), grid.grid, rows, cols, grid.group);
}

PackedTensor room_for_floats(size_t rows, size_t cols, const char* codes) {
    return with_room(*find_codes(codes), nullptr, rows, cols, 0);
}

void pack_strip(const Compute& compute, const QuantizedMatrix& strip, size_t first_row, PackedTensor& tensor) {
    const PackedMatrix& whole = tensor.matrix;
    const size_t panel = first_row / panel_rows;
    std::byte* codes = tensor.codes.data() + panel * whole.panel_code_bytes();
    std::byte* scales = tensor.scales.data() + panel * whole.n_units() * whole.grid->scale_bytes;
    std::byte* zeros = tensor.zeros.data() + panel * whole.n_groups() * whole.grid->zero_bytes(whole.codes->value_bits);
    compute.pool.for_ranges(div_up(strip.rows, panel_rows), 1, [&](size_t begin, size_t end, size_t) {
        pack_panels(strip.view(), *whole.codes, *whole.grid, begin, end, codes, scales, zeros);
    });
}

void pack_float_strip(const Compute& compute, const float* values, size_t rows, size_t first_row,
                      PackedTensor& tensor) {
    const PackedMatrix& whole = tensor.matrix;
    std::byte* codes = tensor.codes.data() + first_row / panel_rows * whole.panel_code_bytes();
    compute.pool.for_ranges(div_up(rows, panel_rows), 1, [&](size_t begin, size_t end, size_t) {
        pack_float_panels(values, whole.cols, rows, whole.cols, *whole.codes, begin, end, codes);
    });
}

PackedLowRank pack_low_rank(const Compute& compute, const RoundedFactors& factors) {
    const auto pack = [&](const QuantizedMatrix& factor) {
        PackedTensor packed =
            with_room(integer_codes(factor.bits), find_grid("symmetric"), factor.rows, factor.cols, 0);
        pack_strip(compute, factor, 0, packed);
        return packed;
    };
    return {pack(factors.u), pack(factors.v)};
}

void RoundingError::add_strip(const Compute& compute, const float* values, size_t rows, size_t first_row,
                              const PackedTensor& tensor) {
    const size_t cols = tensor.matrix.cols;
    std::vector<RoundingError> panels(div_up(rows, panel_rows));
    compute.pool.for_ranges(panels.size(), 1, [&](size_t begin, size_t end, size_t) {
        AlignedBuffer<float> rounded(panel_rows * cols);
        for (size_t panel = begin; panel < end; ++panel) {
            const size_t row = panel * panel_rows, n = std::min(panel_rows, rows - row) * cols;
            unpack_rows(tensor.matrix, first_row + row, first_row + row + n / cols, rounded.data(), cols);
            const float* original = values + row * cols;
            for (size_t i = 0; i < n; ++i) {
                const double w = original[i], e = rounded[i] - w;
                panels[panel].error += e * e;
                panels[panel].weight += w * w;
            }
        }
    });
    for (const RoundingError& panel : panels) {
        error += panel.error;
        weight += panel.weight;
    }
}

bool fits_f16(const float* values, size_t n) {
    constexpr float f16_largest = 65504.0f;
    return std::all_of(values, values + n, [](float value) { return std::fabs(value) <= f16_largest; });
}

void write_packed(GqWriter& writer, const std::string& name, const PackedTensor& tensor,
                  const PackedLowRank& low_rank) {
    const PackedMatrix& m = tensor.matrix;
    GqTensor record{.name = name,
                    .codes = m.codes->name,
                    .grid = m.grid ? m.grid->name : "",
                    .experts = 1,
                    .rows = m.rows,
                    .cols = m.cols,
                    .group = m.group,
                    .parts = {{"codes", bytes_of(tensor.codes)}}};
    if (m.grid) record.parts.push_back({"scales", bytes_of(tensor.scales)});
    if (m.grid && m.grid->zeros_part) record.parts.push_back({m.grid->zeros_part, bytes_of(tensor.zeros)});
    if (!low_rank.view().empty()) {
        record.grid += low_rank_suffix;
        record.parts.push_back({"lorc_u", bytes_of(low_rank.u.codes)});
        record.parts.push_back({"lorc_u_scales", bytes_of(low_rank.u.scales)});
        record.parts.push_back({"lorc_v", bytes_of(low_rank.v.codes)});
        record.parts.push_back({"lorc_v_scales", bytes_of(low_rank.v.scales)});
    }
    writer.add_tensor(record);
}

void write_vector(GqWriter& writer, const std::string& name, std::span<const float> values) {
    writer.add_tensor({.name = name,
                       .codes = "f32",
                       .grid = "",
                       .experts = 1,
                       .rows = 1,
                       .cols = values.size(),
                       .group = 0,
                       .parts = {{"values", std::as_bytes(values)}}});
}

}  // namespace gq
