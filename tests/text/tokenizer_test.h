// What the tests of tokenizers share: golden files, a checkpoint that is metadata only, FNV-1a, and the message of an
// error.
#pragma once

#include <doctest/doctest.h>

#include <exception>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"
#include "formats/checkpoint.h"
#include "formats/format_error.h"
#include "formats/json.h"

namespace gq::test {

inline std::string read_golden(const std::string& name) {
    std::ifstream file("tests/golden/tokenizers/" + name, std::ios::binary);
    REQUIRE_MESSAGE(file.good(), "tests run in the repository's root; missing: ", name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

inline JsonValue golden(const std::string& name) {
    return parse_json(read_golden(name), name);
}

// A Checkpoint without tensors.
class MetadataOnly : public Checkpoint {
  public:
    MetadataOnly(Kind kind, JsonValue metadata) : kind_(kind), metadata_(std::move(metadata)) {}
    Kind kind() const override { return kind_; }
    std::filesystem::path path() const override { return {}; }
    const JsonValue& metadata() const override { return metadata_; }
    std::span<const SourceTensor> tensors() const override { return {}; }
    void forget(const SourceTensor&) const override {}

  private:
    Kind kind_;
    JsonValue metadata_;
};

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

// "malformed: …", "unsupported: …" or "io: …" of the FormatError that the call throws, "error: …" of another; "no
// error" when it throws none.
template <typename Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const FormatError& error) {
        const char* const kinds[] = {"malformed: ", "unsupported: ", "io: "};
        return std::string(kinds[static_cast<size_t>(error.kind())]) + error.what();
    } catch (const std::exception& error) {
        return std::string("error: ") + error.what();
    }
    return "no error";
}

inline void check_contains(const std::string& text, std::string_view part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, "expected \"", std::string(part), "\" in \"", text, "\"");
}

}  // namespace gq::test
