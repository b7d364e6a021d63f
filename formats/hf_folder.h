// A folder as Hugging Face lays models out: config.json, tokenizer files, and safetensors in one file or in shards with
// an index. In: a folder. Out: a Checkpoint.
// Must not know architectures or tokenizers: the JSON is handed on as it is.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "formats/checkpoint.h"

namespace gq {

// Reads config.json (required), generation_config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json
// and chat_template.jinja where they are, and maps the weights: `weights_file` when given (a path), else
// model.safetensors, else the shards of model.safetensors.index.json. Throws FormatError.
std::unique_ptr<Checkpoint> open_hf_folder(const std::filesystem::path& folder,
                                           const std::filesystem::path& weights_file = {});

// One line of an index: which shard holds which tensor.
struct ShardEntry {
    std::string tensor, shard;
};

// The "weight_map" of a model.safetensors.index.json. Shards are plain file names. Throws FormatError(malformed).
std::vector<ShardEntry> parse_shard_index(const JsonValue& index, const std::string& name);

// The chat template of a tokenizer_config.json: a string, or of a list of {name, template} the one named "default";
// null when absent.
JsonValue find_chat_template(const JsonValue& tokenizer_config);

}  // namespace gq
