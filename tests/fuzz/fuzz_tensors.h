// What the fuzz targets of the tensor formats demand of tensors that a parser accepts.
// In: tensors and the bytes that they came from. Out: a trap where a promise is broken. Must not know any format.
#pragma once

#include <span>
#include <vector>

#include "formats/checkpoint.h"
#include "formats/format_error.h"
#include "formats/tensor_table.h"

// The bytes lie in the file, and rows either convert or are refused by FormatError; nothing reads or writes outside.
inline void check_tensors(std::span<const gq::SourceTensor> tensors, std::span<const std::byte> file) {
    for (const gq::SourceTensor& tensor : tensors) {
        const std::byte *begin = tensor.bytes.data(), *end = begin + tensor.bytes.size();
        if (!tensor.bytes.empty() && (begin < file.data() || end > file.data() + file.size())) __builtin_trap();
        size_t elements = 0;
        if (!gq::count_elements(tensor.shape, elements)) __builtin_trap();
        std::vector<float> out(elements);  // an element has at least a bit, so the file's size bounds this
        try {
            gq::Checkpoint::read_rows(tensor, 0, tensor.shape.empty() ? 1 : tensor.shape[0], out.data());
        } catch (const gq::FormatError&) {
        }
    }
}
