// Blocks of a GGUF that some codes and grid of packing.h hold exactly: taken over instead of rounded again.
// In: a type of element, a tensor of it. Out: the grid that holds it, and its rows as codes and scales. Must not know
// models or the walk, nor bits of blocks: formats/element_type.h takes them apart.
#pragma once

#include <optional>
#include <string>

#include "core/base/threads.h"
#include "core/kernels/compute.h"
#include "core/quantize/grid_search.h"
#include "formats/checkpoint.h"

namespace gq {

// Empty for floats, and for what no grid holds.
std::optional<GridOptions> grid_of_blocks(ElementType type);

// Whether any tensor has a grid_of_blocks.
bool holds_blocks(const Checkpoint& checkpoint);

// Rows source_row(row_begin) … source_row(row_end - 1) of a tensor (rows, cols) whose type has a grid_of_blocks: its
// values bit by bit but for the sign of a zero. They must be finite: who reads them as floats too finds out.
QuantizedMatrix read_blocks(const Compute& compute, const SourceTensor& tensor, size_t row_begin, size_t row_end,
                            FunctionRef<size_t(size_t row)> source_row);

// "int4 offset g32".
std::string form_of(const GridOptions& grid);

}  // namespace gq
