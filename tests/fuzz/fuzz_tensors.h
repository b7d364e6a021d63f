// What the fuzz targets of the tensor formats demand of tensors that a parser accepts.
#pragma once

#include <span>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/format_error.h"

// The bytes lie in the file, and rows either convert or are refused by FormatError; nothing reads outside.
inline void check_tensors(std::span<const gq::SourceTensor> tensors, std::span<const std::byte> file) {
    constexpr size_t max_floats = 1 << 16;
    for (const gq::SourceTensor& tensor : tensors) {
        const bool inside =
            tensor.bytes.empty() || (tensor.bytes.data() >= file.data() &&
                                     tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
        if (!inside) __builtin_trap();
        const size_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
        if (tensor.bytes.size() > max_floats / 8) continue;  // at least a bit an element
        std::vector<float> out(max_floats);
        try {
            gq::Checkpoint::read_rows(tensor, 0, rows, out.data());
        } catch (const gq::FormatError&) {
        }
    }
}
