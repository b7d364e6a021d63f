// Blocks → codes, scales and offsets of a grid. See kept_blocks.h.
// In: the blocks of a tensor. Out: a QuantizedMatrix. Must not know how a grid stores its numbers.
#include "core/quantize/kept_blocks.h"

#include <algorithm>

namespace gq {
namespace {

struct Form {
    ElementType type;
    const char* codes;
    const char* grid;
};

constexpr Form forms[] = {
    {ElementType::q4_0, "int4", "symmetric"},
    {ElementType::q4_1, "int4", "offset"},
    {ElementType::q5_0, "int5", "symmetric"},
    {ElementType::q5_1, "int5", "offset"},
    {ElementType::q8_0, "int8", "symmetric"},
    {ElementType::q2_k, "int2", "k"},
    {ElementType::q3_k, "int3", "k_signed"},
    {ElementType::q4_k, "int4", "k"},
    {ElementType::q5_k, "int5", "k"},
    {ElementType::q6_k, "int6", "k_signed"},
    {ElementType::iq4_nl, "table4", "symmetric"},
    {ElementType::iq4_xs, "table4", "k_signed"},
};

}  // namespace

std::optional<GridOptions> grid_of_blocks(ElementType type) {
    for (const Form& form : forms) {
        if (form.type != type) continue;
        const Codes* codes = find_codes(form.codes);
        return GridOptions{codes->value_bits, traits(type).parts->group, find_grid(form.grid), codes};
    }
    return std::nullopt;
}

bool holds_blocks(const Checkpoint& checkpoint) {
    const std::span<const SourceTensor> tensors = checkpoint.tensors();
    return std::any_of(tensors.begin(), tensors.end(),
                       [](const SourceTensor& tensor) { return grid_of_blocks(tensor.type).has_value(); });
}

QuantizedMatrix read_blocks(const Compute& compute, const SourceTensor& tensor, size_t row_begin, size_t row_end,
                            FunctionRef<size_t(size_t row)> source_row) {
    const ElementTraits& type = traits(tensor.type);
    const GridOptions grid = *grid_of_blocks(tensor.type);
    QuantizedMatrix q(row_end - row_begin, tensor.shape.at(1), grid);
    const size_t n_blocks = q.cols / type.block_elements, row_bytes = n_blocks * type.block_bytes;
    if (!grid.grid->has_offsets) std::fill_n(q.zero_points.data(), q.zero_points.size(), middle_code(grid.bits));
    compute.pool.for_ranges(q.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) {
            const std::byte* blocks = tensor.bytes.data() + source_row(row_begin + r) * row_bytes;
            const size_t at = r * q.n_groups();
            type.parts->split(blocks, n_blocks, &q.codes[r * q.cols], &q.scales[at],
                              grid.grid->has_offsets ? &q.offsets[at] : nullptr);
        }
    });
    return q;
}

std::string form_of(const GridOptions& grid) {
    const Codes* codes = grid.codes ? grid.codes : find_integer_codes(grid.bits);
    return std::string(codes->name) + " " + grid.grid->name +
           (grid.group > 0 ? " g" + std::to_string(grid.group) : " row");
}

}  // namespace gq
