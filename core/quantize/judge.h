// What quantizing did to a whole model: its predictions beside the float model's on text that nothing was fitted to.
// In: a source, windows, then the quantized blocks as they come about. Out: KL and perplexities. Must not know how
// anything is rounded. Memory: a block's floats at first, the windows' residual stream, what HeadDivergence holds.
#pragma once

#include <vector>

#include "core/quantize/calibrate.h"
#include "core/quantize/head_divergence.h"
#include "core/quantize/quantize.h"
#include "core/quantize/rotate.h"

namespace gq {

class Judge {
  public:
    // Runs the float model, as the source has it, over windows of equal length. after_block is called behind each
    // block; what it throws passes. source outlives this.
    Judge(const Compute& compute, const SourceModel& source, std::vector<std::vector<int32_t>> windows,
          FunctionRef<void()> after_block);

    // The quantized model from its embedding (rows of the vocabulary) through its blocks, in order, by the runtime's
    // int8 path.
    void embed(const Weight& embedding, const BlockWeights& outer);
    void run(const StepList& block, const BlockWeights& weights);
    // Behind the last block: means over the second half of each window. head: the quantized one,
    // whose own inputs are not rounded.
    Verdict verdict(const BlockWeights& outer, const HeadRows& head);

  private:
    const Compute compute_;
    const SourceModel& source_;
    const std::vector<std::vector<int32_t>> windows_;
    Matrix exact_;  // (windows * window, hidden): what the float model's head reads
    Stream stream_;
};

// The float model's head, read from the source in strips, which outlives it.
HeadRows float_head(const SourceModel& source);

}  // namespace gq
