// Packs panels in parallel and hands them to the writer. See packed_writer.h.
#include "core/quantize/packed_writer.h"

#include <cmath>

#include "core/base/status.h"

namespace gq {
namespace {

// "int4" for 4 bits: codes are found by their traits, so that a new width needs no edit here.
const Codes& integer_codes(unsigned bits) {
    for (const Codes* codes : all_codes())
        if (!codes->is_float && codes->bits == bits) return *codes;
    fail(Status::unsupported, "no codes of %u bits are known", bits);
}

std::span<const std::byte> bytes_of(const AlignedBuffer<std::byte>& buffer) { return {buffer.data(), buffer.size()}; }

PackedTensor with_room(const Codes& codes, const Grid* grid, size_t rows, size_t cols, size_t group) {
    const PackedSizes sizes = packed_sizes(codes, grid, rows, cols, group);
    PackedTensor tensor;
    tensor.codes = AlignedBuffer<std::byte>(sizes.code_bytes);
    tensor.scales = AlignedBuffer<std::byte>(sizes.scale_bytes);
    tensor.zeros = AlignedBuffer<std::byte>(sizes.zero_bytes);
    tensor.matrix = {.codes = &codes, .grid = grid, .layout = PackedMatrix::Layout::panels, .rows = rows, .cols = cols, .group = group,
                     .code_bytes = tensor.codes.data(), .scales = tensor.scales.data(), .zeros = tensor.zeros.data()};
    return tensor;
}

}  // namespace

PackedTensor pack_quantized(const Compute& compute, const QuantizedMatrix& quantized, bool symmetric) {
    const Codes& codes = integer_codes(quantized.bits);
    const Grid& grid = *find_grid(symmetric ? "symmetric" : "zero_point");
    PackedTensor tensor = with_room(codes, &grid, quantized.rows, quantized.cols, quantized.group);
    compute.pool.for_ranges(tensor.matrix.n_panels(), 1, [&](size_t begin, size_t end, size_t) {
        pack_panels(quantized.view(), codes, grid, begin, end, tensor.codes.data(), tensor.scales.data(), tensor.zeros.data());
    });
    return tensor;
}

PackedTensor pack_floats(const Compute& compute, const float* values, size_t rows, size_t cols, const char* name) {
    const Codes& codes = *find_codes(name);
    PackedTensor tensor = with_room(codes, nullptr, rows, cols, 0);
    compute.pool.for_ranges(tensor.matrix.n_panels(), 1, [&](size_t begin, size_t end, size_t) {
        pack_float_panels(values, cols, rows, cols, codes, begin, end, tensor.codes.data());
    });
    return tensor;
}

const char* float_codes_for(ElementType source, const float* values, size_t n) {
    if (source == ElementType::bf16) return "bf16";
    constexpr float f16_largest = 65504.0f;
    for (size_t i = 0; i < n; ++i)
        if (std::fabs(values[i]) > f16_largest) return "bf16";
    return "f16";
}

void write_packed(GqWriter& writer, const std::string& name, const PackedTensor& tensor) {
    const PackedMatrix& m = tensor.matrix;
    GqTensor record{.name = name, .codes = m.codes->name, .grid = m.grid ? m.grid->name : "", .experts = 1, .rows = m.rows, .cols = m.cols,
                    .group = m.group, .parts = {{"codes", bytes_of(tensor.codes)}}};
    if (m.grid) record.parts.push_back({"scales", bytes_of(tensor.scales)});
    if (m.grid && m.grid->has_zeros) record.parts.push_back({"zeros", bytes_of(tensor.zeros)});
    writer.add_tensor(record);
}

void write_vector(GqWriter& writer, const std::string& name, std::span<const float> values) {
    writer.add_tensor({.name = name, .codes = "f32", .grid = "", .experts = 1, .rows = 1, .cols = values.size(), .group = 0,
                       .parts = {{"values", std::as_bytes(values)}}});
}

}  // namespace gq
