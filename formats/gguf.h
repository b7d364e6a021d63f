// One GGUF file, version 2 or 3.
// In: the file's bytes. Out: its key-value pairs and tensors, the tensors' bytes being spans of the input.
// Must not know what a key or a tensor means, but for general.alignment and split.count, which belong to the layout.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/checkpoint.h"

namespace gq {

struct GgufContents {
    JsonValue metadata;  // one flat object; u64 values above 2^63 - 1 become doubles
    std::vector<SourceTensor> tensors;
};

// `name` is the file that messages and SourceTensor::where show. Everything is checked before it is used or allocated
// for. Throws FormatError: malformed, or unsupported for versions, element types and arrangements that are not known
// here.
GgufContents parse_gguf(std::span<const std::byte> file, const std::string& name);

std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path);

}  // namespace gq
