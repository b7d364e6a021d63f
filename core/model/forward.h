// The only interpreter of steps: the runtime runs all of them, the calibrator one stage at a time.
// In: a batch, weights, slots. Out: slots (and logits on request). The same code runs float and packed weights, on any
// Backend. Must not know sessions, samplers or how pages are owned: segments bring their page tables.
#pragma once

#include <span>
#include <vector>

#include "core/model/model.h"

namespace gq {

// Activations of all slots of a network for up to max_rows rows, in the backend's memory.
class SlotMemory {
  public:
    SlotMemory(Backend& backend, const Network& network, size_t max_rows);
    const Activations& operator[](SlotId slot) const { return slots_[slot]; }
    size_t max_rows() const { return max_rows_; }
    // A slot's rows stand at `rows` from now on, (max_rows, its stride), memory of others; null: in its own again.
    void place(SlotId slot, float* rows);
    static size_t bytes_needed(const Network& network, size_t max_rows);

  private:
    size_t max_rows_;
    std::vector<BackendBuffer<float>> memory_;
    std::vector<Activations> slots_;
};

// The rows that a run of steps works on.
struct RowSet {
    std::span<const int32_t> positions;  // one a row
    std::span<const Segment> segments;   // cover the rows; read by attention
    const KvGeometry* geometry = nullptr;
    size_t layer = 0;  // within the geometry
    size_t size() const { return positions.size(); }
};

class Forward {
  public:
    Forward(const Network& network, Backend& backend, Precision precision)
        : network_(network), backend_(backend), precision_(precision) {}

    // Runs steps [begin, end) of a list on `rows`.
    void run(const StepList& list, size_t begin, size_t end, const BlockWeights& weights, const RowSet& rows,
             const SlotMemory& slots);

    // Fills the residual slot from the embedding and runs the prologue; of `rows` it looks at the positions.
    void embed(const Weight& embedding, const BlockWeights& outer, std::span<const int32_t> tokens, const RowSet& rows,
               const SlotMemory& slots);

    // Final norm and head for the rows listed in `wanted` (ascending): logits (wanted, vocab) with row stride
    // logits.stride.
    void head(const Model& model, std::span<const size_t> wanted, const SlotMemory& slots, const Activations& logits);

  private:
    size_t run_linears(const StepList& list, size_t begin, size_t end, const BlockWeights& weights, size_t n_rows,
                       const SlotMemory& slots);
    void run_step(const Step& step, const BlockWeights& weights, const RowSet& rows, const SlotMemory& slots);
    void look_up_positions(const Step& step, const PackedMatrix& table, const RowSet& rows, const SlotMemory& slots);

    const Network& network_;
    Backend& backend_;
    Precision precision_;
};

}  // namespace gq
