// What the tests of tokenizers share: golden files, a checkpoint that is metadata only, and FNV-1a.
// In: JSON, bytes. Out: checkpoints, hashes.
// Must not know which part of the pipeline is tested.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"
#include "formats/json.h"
#include "tests/error_of.h"
#include "tests/metadata_only.h"
#include "tests/test_paths.h"

namespace gq::test {

inline std::string read_golden(const std::string& name) {
    return file_bytes(golden_path("tokenizers/" + name));
}

inline JsonValue golden(const std::string& name) {
    return parse_json(read_golden(name), name);
}

inline Tokenizer from_gguf(JsonValue metadata) {
    return Tokenizer::from_checkpoint(MetadataOnly(Checkpoint::Kind::gguf, std::move(metadata)));
}

inline Tokenizer from_folder(JsonValue metadata) {
    return Tokenizer::from_checkpoint(MetadataOnly(Checkpoint::Kind::hugging_face, std::move(metadata)));
}

// A folder with this tokenizer.json alone.
inline Tokenizer from_tokenizer_json(JsonValue tokenizer) {
    JsonValue metadata;
    metadata.set("tokenizer", std::move(tokenizer));
    return from_folder(std::move(metadata));
}

inline Tokenizer from_json_text(const std::string& text) {
    return from_tokenizer_json(parse_json(text, "test"));
}

inline uint64_t fnv(std::string_view bytes) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001B3u;
    return hash;
}

// Of the ids as little-endian uint32.
inline uint64_t fnv(const std::vector<TokenId>& ids) {
    std::string bytes;
    for (const TokenId id : ids) {
        for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(static_cast<uint32_t>(id) >> shift);
    }
    return fnv(bytes);
}

inline std::vector<TokenId> ids_of(const JsonValue& json) {
    std::vector<TokenId> ids;
    for (const JsonValue& id : json.as_array("ids")) ids.push_back(static_cast<TokenId>(id.as_integer("id")));
    return ids;
}

inline std::string shown(const std::vector<TokenId>& ids) {
    std::string out;
    for (const TokenId id : ids) out += std::to_string(id) + " ";
    return out;
}

}  // namespace gq::test
