// What a change of one weight does to the whole model: the divergence of its predictions from the float model's.
// In: a float model, a few windows of tokens, changed weights. Out: the mean KL and the change of the loss over the
// second half of each window. The stream stands before one layer, so that a change there costs the layers from it on
// only. Must not know how weights are changed.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/kernels/compute.h"
#include "core/model/forward.h"
#include "core/runtime/kv_cache.h"

namespace gq {

// Means over the scored tokens, in nats.
struct Divergence {
    double kl = 0;    // KL(float || changed)
    double loss = 0;  // -log p(next token) of the changed model, less the float model's
};

class KlProbe {
  public:
    // windows: equally long, 2 tokens or more. model outlives this.
    KlProbe(const Model& model, const Compute& compute, std::span<const std::vector<int32_t>> windows);
    ~KlProbe();

    size_t n_scored() const { return wanted_.size(); }  // tokens
    double float_loss() const { return float_loss_; }   // mean -log p(next token) of the float model
    // With other weights of the layer that the stream stands before.
    Divergence of_block(const BlockWeights& changed);
    // With another embedding or head.
    Divergence of_outer(const Weight& embedding, const Weight& head);
    void advance();

  private:
    struct Score;
    void embed(const Weight& embedding);
    void load();
    void run_blocks(size_t first, const BlockWeights* changed);
    std::vector<Score> scores(const Weight& head, bool is_reference);
    Score score(size_t at, float* logits, bool is_reference);
    Divergence divergence(const std::vector<Score>& found) const;

    const Model& model_;
    const Compute compute_;
    std::vector<std::vector<int32_t>> windows_;
    std::unique_ptr<Backend> backend_;
    Forward forward_;
    SlotMemory slots_;
    KvCache cache_;
    std::vector<int32_t> tokens_, positions_, targets_;  // targets_: by wanted row
    std::vector<Segment> segments_;
    std::vector<size_t> wanted_;
    AlignedBuffer<float> hidden_;     // (rows, hidden): the residual stream before layer_
    AlignedBuffer<float> reference_;  // (wanted, vocab): log p of the float model
    double float_loss_ = 0;
    size_t layer_ = 0;
};

}  // namespace gq
