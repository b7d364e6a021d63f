// A float checkpoint as a model that forward.h runs whole, in memory, 16 bits a weight.
// In: a source, turned or not. Out: a Model whose views point in here. What the quantizer compares changed models with;
// bf16 and f16 weights are kept as they are, others narrowed. Must not know what is compared.
#pragma once

#include "core/quantize/packed_writer.h"
#include "core/quantize/rotate.h"

namespace gq {

class FloatModel {
  public:
    FloatModel(const SourceModel& source, const RotatedSource& rotated, const Compute& compute);
    FloatModel(const FloatModel&) = delete;
    FloatModel& operator=(const FloatModel&) = delete;

    const Model& model() const { return model_; }

  private:
    PackedMatrix keep(PackedTensor tensor);
    PackedMatrix matrix(const WeightRow& row, size_t layer);
    PackedMatrix vocabulary(const WeightRow& row);
    Weight weight(const WeightRow& row, size_t layer);

    const SourceModel& source_;
    const RotatedSource& rotated_;
    const Compute compute_;
    std::vector<PackedTensor> tensors_;
    std::vector<AlignedBuffer<float>> vectors_;
    Model model_;
};

}  // namespace gq
