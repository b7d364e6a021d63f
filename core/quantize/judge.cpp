// Two streams over the same windows, compared in front of their heads. See judge.h.
// In: weights as they come. Out: sums over tokens. Must not know files.
#include "core/quantize/judge.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/quantize/head_hessian.h"

namespace gq {
namespace {

// Of the float model, in a stream of its own that is gone before the quantized one begins.
Matrix head_inputs(const Compute& compute, const SourceModel& source, std::span<const std::vector<int32_t>> windows,
                   FunctionRef<void()> after_block) {
    const RotatedSource as_it_is(source, compute, false);
    Stream stream(source.network(), float_kv_layer(source.params()), compute, windows.size(), windows.front().size());
    embed_floats(stream, source, as_it_is, windows);
    run_floats(stream, source, as_it_is, after_block);
    return stream.rows(source.network().head_input);
}

}  // namespace

HeadRows float_head(const SourceModel& source) {
    const WeightRow& row = source.params().tied_head ? source.arch().embedding : source.arch().head;
    HeadRows head;
    head.vocab = source.params().vocab;
    head.read = [&source, &row](size_t begin, size_t end, float* out) { source.read_rows(row, 0, begin, end, out); };
    return head;
}

Judge::Judge(const Compute& compute, const SourceModel& source, std::vector<std::vector<int32_t>> windows,
             FunctionRef<void()> after_block)
    : compute_(compute),
      source_(source),
      windows_(std::move(windows)),
      exact_(head_inputs(compute, source, windows_, after_block)),
      stream_(source.network(), float_kv_layer(source.params()), compute, windows_.size(), windows_.front().size(),
              Precision::int8_activations) {}

void Judge::embed(const Weight& embedding, const BlockWeights& outer) {
    stream_.embed(embedding, outer, windows_);
}

void Judge::run(const StepList& block, const BlockWeights& weights) {
    stream_.run(block, 0, block.steps.size(), weights);
}

Verdict Judge::verdict(const BlockWeights& outer, const HeadRows& head) {
    stream_.run_epilogue(outer);
    const Matrix hidden = stream_.rows(source_.network().head_input);
    const size_t window = windows_.front().size(), first = (window - 1) / 2, n = window - 1 - first;
    HeadDivergence heads(compute_, head, float_head(source_), n, hidden.cols());
    HeadLosses sum;
    for (size_t w = 0; w < windows_.size(); ++w) {
        const ConstMatrixView exact = exact_.view().block(w * window + first, 0, n, hidden.cols()),
                              ours = hidden.view().block(w * window + first, 0, n, hidden.cols());
        const HeadLosses found = heads.losses(exact, ours, std::span(windows_[w]).subspan(first + 1));
        sum.kl += found.kl;
        sum.loss += found.loss;
        sum.exact_loss += found.exact_loss;
    }
    const double tokens = static_cast<double>(n * windows_.size());
    const Verdict found{.kl = std::max(0.0, sum.kl / tokens),  // rounding of logits may say so of one next to 0
                        .ppl = std::exp(sum.loss / tokens),
                        .float_ppl = std::exp(sum.exact_loss / tokens),
                        .tokens = n * windows_.size()};
    if (!std::isfinite(found.kl + found.ppl + found.float_ppl))
        fail(Status::numeric,
             "predictions of unseen tokens: finite numbers expected, found KL %g, perplexities %g and, of floats, %g",
             found.kl, found.ppl, found.float_ppl);
    return found;
}

}  // namespace gq
