// One safetensors file.
// In: the file's bytes. Out: its tensors, their bytes being spans of the input. Must not know folders, shards or what a
// tensor means.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "formats/checkpoint.h"

namespace gq {

// `name` is the file that messages and SourceTensor::where show. Tensors come in the order of their bytes. Everything
// is checked: the tensors lie side by side and fill the file, names differ, sizes follow from type and shape. Throws
// FormatError: malformed, or unsupported for an element type that is not known here.
std::vector<SourceTensor> parse_safetensors(std::span<const std::byte> file, const std::string& name);

}  // namespace gq
