// Passes through the rest of a model, and the divergence at its end. See kl_probe.h.
// In: weights that differ from the float model's in one place. Out: means, summed row by row in the order of the text,
// whatever the number of threads. Must not know what was changed.
#include "core/quantize/kl_probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/status.h"
#include "core/kernels/math.h"
#include "core/quantize/calibrate.h"

namespace gq {
namespace {

constexpr size_t logits_rows = 32;  // of the head at a time

RowSet rows_of(std::span<const int32_t> positions, std::span<const Segment> segments, const KvCache& cache) {
    return {.positions = positions, .segments = segments, .geometry = &cache.geometry(), .layer = 0};
}

// A NaN would count as no divergence at all.
void check_finite(const char* whose, double sum) {
    if (!std::isfinite(sum))
        fail(Status::numeric, "KL: finite logits of %s expected, found %g in their sum", whose, sum);
}

}  // namespace

struct KlProbe::Score {
    double kl = 0, loss = 0;
};

KlProbe::KlProbe(const Model& model, const Compute& compute, std::span<const std::vector<int32_t>> windows)
    : model_(model),
      compute_(compute),
      windows_(windows.begin(), windows.end()),
      backend_(make_cpu_backend(compute)),
      forward_(model.network, *backend_, Precision::exact),
      slots_(*backend_, model.network, windows.size() * windows[0].size()),
      cache_(*backend_, float_kv_layer(model.params), windows.size() * div_up(windows[0].size(), kv_page_positions)) {
    const size_t window = windows_[0].size();
    for (size_t w = 0; w < windows_.size(); ++w) {
        cache_.reserve(static_cast<SequenceId>(w), window);
        segments_.push_back({w * window, window, 0, cache_.pages(static_cast<SequenceId>(w))});
        for (size_t i = 0; i < window; ++i) positions_.push_back(static_cast<int32_t>(i));
        tokens_.insert(tokens_.end(), windows_[w].begin(), windows_[w].end());
        for (size_t i = (window - 1) / 2; i + 1 < window; ++i) {
            wanted_.push_back(w * window + i);
            targets_.push_back(windows_[w][i + 1]);
        }
    }
    hidden_ = AlignedBuffer<float>(checked_mul(tokens_.size(), model.params.hidden, "hidden states"));
    reference_ = AlignedBuffer<float>(checked_mul(wanted_.size(), model.params.vocab, "logits"));
    embed(model.embedding);
    run_blocks(0, nullptr);
    for (const Score& s : scores(model.head, true)) float_loss_ += s.loss / static_cast<double>(wanted_.size());
    check_finite("the float model", float_loss_);
    embed(model.embedding);
    const Activations& residual = slots_[model_.network.residual];
    for (size_t r = 0; r < tokens_.size(); ++r)
        std::copy_n(residual.row(r), model_.params.hidden, &hidden_[r * model_.params.hidden]);
}

KlProbe::~KlProbe() = default;

void KlProbe::embed(const Weight& embedding) {
    forward_.embed(embedding, model_.outer, tokens_, rows_of(positions_, segments_, cache_), slots_);
}

void KlProbe::load() {
    const Activations& residual = slots_[model_.network.residual];
    for (size_t r = 0; r < tokens_.size(); ++r)
        std::copy_n(&hidden_[r * model_.params.hidden], model_.params.hidden, residual.row(r));
}

// changed: of layer `first`; null: none.
void KlProbe::run_blocks(size_t first, const BlockWeights* changed) {
    const RowSet rows = rows_of(positions_, segments_, cache_);
    for (size_t layer = first; layer < model_.blocks.size(); ++layer) {
        const StepList& block = model_.network.blocks[layer];
        const BlockWeights& weights = changed && layer == first ? *changed : model_.blocks[layer];
        forward_.run(block, 0, block.steps.size(), weights, rows, slots_);
    }
}

Divergence KlProbe::of_block(const BlockWeights& changed) {
    load();
    run_blocks(layer_, &changed);
    return divergence(scores(model_.head, false));
}

Divergence KlProbe::of_outer(const Weight& embedding, const Weight& head) {
    embed(embedding);
    run_blocks(0, nullptr);
    return divergence(scores(head, false));
}

void KlProbe::advance() {
    load();
    const StepList& block = model_.network.blocks[layer_];
    forward_.run(block, 0, block.steps.size(), model_.blocks[layer_], rows_of(positions_, segments_, cache_), slots_);
    const Activations& residual = slots_[model_.network.residual];
    for (size_t r = 0; r < tokens_.size(); ++r)
        std::copy_n(residual.row(r), model_.params.hidden, &hidden_[r * model_.params.hidden]);
    ++layer_;
}

std::vector<KlProbe::Score> KlProbe::scores(const Weight& head, bool is_reference) {
    Model ends;  // all that Forward::head looks at
    ends.outer = model_.outer;
    ends.head = head;
    std::vector<Score> found(wanted_.size());
    const size_t vocab = model_.params.vocab, stride = round_up(vocab, tile_cols);
    const BackendBuffer<float> logits(*backend_, std::min(logits_rows, wanted_.size()) * stride);
    for (size_t i = 0; i < wanted_.size(); i += logits_rows) {
        const std::span<const size_t> part(&wanted_[i], std::min(logits_rows, wanted_.size() - i));
        forward_.head(ends, part, slots_, {logits.data(), stride, vocab});
        compute_.pool.for_each(part.size(), [&](size_t r, size_t) {
            found[i + r] = score(i + r, logits.data() + r * stride, is_reference);
        });
    }
    return found;
}

// logits are lost. The reference keeps its log p.
KlProbe::Score KlProbe::score(size_t at, float* logits, bool is_reference) {
    const size_t vocab = model_.params.vocab;
    float* const expected = &reference_[at * vocab];
    const float top = *std::max_element(logits, logits + vocab);
    double sum = 0;
    for (size_t i = 0; i < vocab; ++i) sum += static_cast<double>(exp_f32(logits[i] - top));
    const auto log_sum = static_cast<float>(log_f64(sum)) + top;
    Score score{.kl = 0, .loss = static_cast<double>(log_sum - logits[targets_[at]])};
    if (is_reference) {
        for (size_t i = 0; i < vocab; ++i) expected[i] = logits[i] - log_sum;
        return score;
    }
    score.loss += static_cast<double>(expected[targets_[at]]);
    for (size_t i = 0; i < vocab; ++i) {
        const double p = static_cast<double>(exp_f32(expected[i]));
        score.kl += p * static_cast<double>(expected[i] - (logits[i] - log_sum));
    }
    return score;
}

// A KL is never negative; rounding of log p may say so of one next to 0.
Divergence KlProbe::divergence(const std::vector<Score>& found) const {
    Divergence mean;
    for (const Score& score : found) {
        mean.kl += score.kl;
        mean.loss += score.loss;
    }
    check_finite("the changed model", mean.kl + mean.loss);
    const double n = static_cast<double>(found.size());
    return {std::max(0.0, mean.kl / n), mean.loss / n};
}

}  // namespace gq
