// The tensors of a checkpoint with a look-up by name, and the arithmetic of their shapes.
// In: tensors in the order of the files. Out: the same, found by name; products that tell when they overflow. Must not
// know any layout.
#include "formats/tensor_table.h"

#include <algorithm>
#include <numeric>

#include "formats/format_error.h"

namespace gq {

TensorTable::TensorTable(std::vector<SourceTensor> tensors) : tensors_(std::move(tensors)), by_name_(tensors_.size()) {
    const auto name = [this](size_t i) -> const std::string& { return tensors_[i].name; };
    std::iota(by_name_.begin(), by_name_.end(), size_t{0});
    std::sort(by_name_.begin(), by_name_.end(), [&](size_t a, size_t b) { return name(a) < name(b); });
    const auto twice =
        std::adjacent_find(by_name_.begin(), by_name_.end(), [&](size_t a, size_t b) { return name(a) == name(b); });
    if (twice == by_name_.end()) return;
    format_fail(FormatError::Kind::malformed, "expected tensors whose names differ, found %s twice: at %s and at %s",
                gq::quoted(name(twice[0])).c_str(), tensors_[twice[0]].where.c_str(), tensors_[twice[1]].where.c_str());
}

const SourceTensor* TensorTable::find(std::string_view name) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [this](size_t i, std::string_view wanted) { return tensors_[i].name < wanted; });
    return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

bool count_elements(std::span<const size_t> shape, size_t& n) {
    n = 1;
    // A dimension of 0 makes the product 0, however large the others are.
    if (std::find(shape.begin(), shape.end(), size_t{0}) != shape.end()) n = 0;
    return std::all_of(shape.begin(), shape.end(),
                       [&](size_t dimension) { return !__builtin_mul_overflow(n, dimension, &n); });
}

bool count_bytes(size_t elements, const ElementTraits& type, size_t& n) {
    return !__builtin_mul_overflow(elements / type.block_elements, type.block_bytes, &n);
}

std::string shape_text(std::span<const size_t> shape) {
    std::string text;
    for (const size_t dimension : shape) text += (text.empty() ? "" : ", ") + std::to_string(dimension);
    return "(" + text + ")";
}

}  // namespace gq
