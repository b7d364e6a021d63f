// The door to float checkpoints: which reader a path wants, and rows of tensors as floats.
// In: a path; a tensor. Out: a Checkpoint; floats.
// Must not know the layouts behind the readers, nor architectures.
#include "formats/checkpoint.h"

#include <algorithm>
#include <system_error>

#include "formats/format_error.h"
#include "formats/gguf.h"
#include "formats/gq_file.h"
#include "formats/hf_folder.h"
#include "formats/mapped_file.h"
#include "formats/tensor_table.h"

namespace gq {
namespace {

constexpr auto malformed = FormatError::Kind::malformed;

// A safetensors file begins with a length below 2^32 and the JSON's '{'.
bool looks_like_safetensors(std::string_view head) {
    return head.size() > 8 && head[8] == '{' && head.substr(4, 4) == std::string_view("\0\0\0\0", 4);
}

}  // namespace

const SourceTensor* Checkpoint::find(std::string_view name) const {
    const auto all = tensors();
    const auto at =
        std::find_if(all.begin(), all.end(), [&](const SourceTensor& tensor) { return tensor.name == name; });
    return at == all.end() ? nullptr : &*at;
}

void Checkpoint::read_rows(const SourceTensor& tensor, size_t row_begin, size_t row_end, float* out) {
    const ElementTraits& type = traits(tensor.type);
    const std::string what = "tensor " + gq::quoted(tensor.name) + " at " + tensor.where;
    if (type.to_f32 == nullptr) {
        format_fail(FormatError::Kind::unsupported, "%s: expected a type that converts to float, found %s",
                    what.c_str(), type.name);
    }
    const std::span<const size_t> shape = tensor.shape;
    const size_t rows = shape.empty() ? 1 : shape[0];
    size_t cols = 0, elements = 0, bytes = 0;
    const bool fits = count_elements(shape.subspan(shape.empty() ? 0 : 1), cols) && count_elements(shape, elements) &&
                      elements % type.block_elements == 0 && count_bytes(elements, type, bytes);
    if (!fits || bytes != tensor.bytes.size()) {
        format_fail(malformed, "%s: expected the bytes of %s %s, found %zu", what.c_str(), type.name,
                    shape_text(shape).c_str(), tensor.bytes.size());
    }
    // These may wrap only where the rows are outside, which is refused before they are used.
    const size_t begin = row_begin * cols, end = row_end * cols;
    const bool inside = row_begin <= row_end && row_end <= rows;
    if (!inside || begin % type.block_elements != 0 || end % type.block_elements != 0) {
        format_fail(malformed, "%s: expected rows of whole blocks inside %s %s, found rows [%zu, %zu)", what.c_str(),
                    type.name, shape_text(shape).c_str(), row_begin, row_end);
    }
    const size_t begin_byte = begin / type.block_elements * type.block_bytes;
    type.to_f32(tensor.bytes.data() + begin_byte, (end - begin) / type.block_elements, out);
}

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
    std::error_code ignored;  // what is neither a folder nor readable is reported by MappedFile
    if (std::filesystem::is_directory(path, ignored)) return open_hf_folder(path);
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    if (text.starts_with("GGUF")) return open_gguf(path);
    if (looks_like_safetensors(text))
        return open_hf_folder(path.parent_path().empty() ? "." : path.parent_path(), path);
    if (is_gq_file(path)) {
        format_fail(FormatError::Kind::unsupported,
                    "%s: expected a checkpoint to quantize (GGUF, safetensors or a folder), found a finished .gq",
                    path.c_str());
    }
    format_fail(FormatError::Kind::unsupported,
                "%s: expected a GGUF file, a safetensors file or a folder, found a file that begins with %s",
                path.c_str(), gq::quoted(text.substr(0, 16)).c_str());
}

}  // namespace gq
