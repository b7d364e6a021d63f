// A Checkpoint without tensors, for who reads metadata alone.
// In: its kind and metadata. Out: the same, seen as a Checkpoint.
// Must not know what the metadata say.
#pragma once

#include <filesystem>
#include <span>
#include <utility>

#include "formats/checkpoint.h"

namespace gq::test {

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

}  // namespace gq::test
