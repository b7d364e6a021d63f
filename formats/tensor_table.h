// The tensors of a checkpoint with a look-up by name: what the readers of safetensors folders and of GGUF files share.
// In: tensors in the order of the files. Out: the same, found by name in log n.
// Must not know any layout.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"

namespace gq {

class TensorTable {
  public:
    TensorTable() = default;
    // Throws FormatError(malformed) naming a tensor that occurs twice, and where.
    explicit TensorTable(std::vector<SourceTensor> tensors);

    std::span<const SourceTensor> all() const { return tensors_; }
    const SourceTensor* find(std::string_view name) const;

  private:
    std::vector<SourceTensor> tensors_;
    std::vector<size_t> by_name_;  // indices of tensors_, in the order of their names
};

// Product of the dimensions into n. False when it does not fit.
[[nodiscard]] bool count_elements(std::span<const size_t> shape, size_t& n);

// Bytes of that many elements, which are whole blocks, into n. False when they do not fit.
[[nodiscard]] bool count_bytes(size_t elements, const ElementTraits& type, size_t& n);

// "(576, 1536)", for messages.
std::string shape_text(std::span<const size_t> shape);

}  // namespace gq
