// The door to float checkpoints: a safetensors folder of Hugging Face or a GGUF file, seen the same way.
// In: a path. Out: named tensors (mapped, never copied) and the metadata beside them. Offsets, sizes and names are
// checked before use. Must not know architectures: what a tensor or a key means is said by core/model and core/text.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/element_type.h"
#include "formats/json.h"

namespace gq {

struct SourceTensor {
    std::string name;  // the checkpoint's own name
    ElementType type = ElementType::f32;
    std::vector<size_t> shape;         // row-major, slowest dimension first, whatever the file's own order
    std::span<const std::byte> bytes;  // valid while the Checkpoint lives
    std::string where;                 // "byte 81920 of model-00001-of-00002.safetensors"
};

class Checkpoint {
  public:
    enum class Kind { hugging_face, gguf };

    virtual ~Checkpoint() = default;
    virtual Kind kind() const = 0;
    virtual std::filesystem::path path() const = 0;
    // Every file that was read or is mapped: what must not be replaced while the Checkpoint lives.
    virtual std::vector<std::filesystem::path> files() const { return {path()}; }

    // hugging_face: an object with those of these members that the folder has:
    //   "config", "generation_config", "tokenizer_config", "special_tokens_map"   the objects of the files of that name
    //   "tokenizer"                                                               tokenizer.json
    //   "chat_template"                      a string: chat_template.jinja, else what tokenizer_config says
    // gguf: the file's key-value pairs as one flat object, arrays as arrays.
    virtual const JsonValue& metadata() const = 0;

    virtual std::span<const SourceTensor> tensors() const = 0;      // in the order of the files
    virtual const SourceTensor* find(std::string_view name) const;  // nullptr when absent

    // Rows [row_begin, row_end) of a tensor seen as (shape[0], product of the rest), converted to float.
    // Throws FormatError(unsupported) naming type and tensor where this version can't convert.
    static void read_rows(const SourceTensor& tensor, size_t row_begin, size_t row_end, float* out);

    // The pages of this tensor may leave memory; its bytes stay readable.
    virtual void forget(const SourceTensor& tensor) const = 0;
};

// path: a folder (config.json + *.safetensors or an index), a .safetensors file inside such a folder, or a .gguf file;
// told apart by content.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace gq
