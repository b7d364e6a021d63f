// The door to networks with weights bound to them.
// In: a .gq (weights stay in its mapping), or a checkpoint whose tensors are fetched one at a time for the quantizer.
// Out: a Model that forward.h can run. Must not know sequences, sampling or how weights were rounded.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/memory.h"
#include "core/kernels/backend.h"
#include "core/model/arch.h"
#include "core/packing/packing.h"
#include "formats/gq_file.h"

namespace gq {

// A bound weight: a linear's matrix, or a vector's floats. Views; the owner is named by whoever made them.
struct Weight {
    PackedMatrix matrix;
    const float* vector = nullptr;
    const float* bias = nullptr;
    LowRank low_rank = {};  // beside a linear's matrix
};

struct BlockWeights {
    std::vector<Weight> roles;  // by RoleId
};

struct Model {
    HyperParams params;
    const Arch* arch = nullptr;
    Network network;
    std::vector<BlockWeights> blocks;
    Weight embedding, head;  // head is the embedding's view when tied
    BlockWeights outer;      // of Arch::outer_weights, then the head_turn where there is one
};

// The name of a weight in a .gq: "blocks.3.attn_q", "embedding".
std::string packed_name(const WeightRow& row, size_t layer);

// Binds all weights of a .gq in place; `file` must outlive the Model. Throws Error(bad_file | unsupported) naming
// tensor, expected and found.
Model bind_packed(const GqFile& file);

// How one tensor of a .gq is seen; part "values" is row-major floats, part "codes" is panels. Sizes of all parts are
// checked.
PackedMatrix packed_view(const GqTensor& tensor);

// What a tensor's grid ends with where a correction of low rank belongs to its weights, and the correction; empty
// where there is none. Sizes are checked.
inline constexpr std::string_view low_rank_suffix = "+lorc";
LowRank low_rank_view(const GqTensor& tensor);

// A float checkpoint as the quantizer reads it: each weight in our order, as floats, when asked for.
class SourceModel {
  public:
    // Reads hyper-parameters and checks that every weight exists with its shape, and that the checkpoint holds no
    // tensor that the architecture doesn't use; throws Error | FormatError. `checkpoint` must outlive this.
    explicit SourceModel(const Checkpoint& checkpoint);

    const HyperParams& params() const { return params_; }
    const Arch& arch() const { return *arch_; }
    const Network& network() const { return network_; }

    // The tensor behind a weight; layer is ignored by rows without "{}".
    const SourceTensor& tensor(const WeightRow& row, size_t layer) const;
    // Which row of that tensor row r of the weight is.
    size_t source_row(const WeightRow& row, size_t r) const;
    // All rows as floats (rows, cols), contiguous, in our row order; the tensor's pages are given up afterwards.
    // Throws Error(numeric) naming tensor and place where a value is not finite.
    AlignedBuffer<float> read(const WeightRow& row, size_t layer) const;
    // Some rows, for matrices that should not be held whole (row order `same` only, of a tensor of its own).
    void read_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end, float* out) const;

  private:
    bool moves_rows(const WeightRow& row) const;
    const SourceTensor* find(const WeightRow& row, size_t layer) const;
    const char* name_pattern(const WeightRow& row) const;
    void check_weight(const WeightRow& row, size_t layer) const;
    void refuse_unclaimed() const;

    const Checkpoint& checkpoint_;
    const Arch* arch_ = nullptr;
    HyperParams params_;
    Network network_;
};

}  // namespace gq
