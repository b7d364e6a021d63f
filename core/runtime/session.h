// Tokens in time: sequences that grow by batches, each row naming its sequence, position, token, and whether its logits
// are wanted. In: a Model, batches. Out: logits. Must not know text, sampling or files.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/kernels/compute.h"
#include "core/model/forward.h"
#include "core/runtime/kv_cache.h"

namespace gq {

struct BatchRow {
    SequenceId sequence = 0;
    int32_t position = 0;  // must be the sequence's next one
    int32_t token = 0;
    bool want_logits = false;
};

struct SessionOptions {
    size_t context = 0;  // positions of all sequences together, rounded up to pages; 0: what the model was trained for
    size_t max_rows = 512;                      // rows of one pass; longer batches are cut
    const KvType* k_type = &default_kv_type();  // of the cache: of keys, of values
    const KvType* v_type = &default_kv_type();
    Precision precision = Precision::int8_activations;
};

KvGeometry kv_geometry(const Model& model, const SessionOptions& options);

class Session {
  public:
    // `model` and `compute`'s members must outlive the session.
    Session(const Model& model, const Compute& compute, const SessionOptions& options);

    // Runs the rows in order; a token's logits do not depend on what else is in the batch. On any error (bad token or
    // position, context full, cancelled) no sequence has changed its length.
    void decode(std::span<const BatchRow> batch);

    // Logits (vocab) of the i-th row of the last decode() that wanted them; valid until the next call.
    std::span<const float> logits(size_t i) const;
    size_t n_logits() const { return n_logits_; }

    size_t context() const { return context_; }
    size_t length(SequenceId sequence) const { return cache_.length(sequence); }
    // Whether the sequence can grow by n tokens: the context is shared, in pages of 64 positions, and a network may
    // have learned a number of positions and no more.
    bool has_room(SequenceId sequence, size_t n) const;
    void truncate(SequenceId sequence, size_t n_positions) { cache_.truncate(sequence, n_positions); }
    void fork(SequenceId from, SequenceId to) { cache_.fork(from, to); }

    // Looked at between stages of every block; true makes decode() end with Error(cancelled).
    void set_cancel(std::function<bool()> cancelled) { cancelled_ = std::move(cancelled); }

    // Bytes at most that a session with these options allocates on n_threads: the kv cache at full context, slots, the
    // backend's own, and logits of as many rows as one pass of the head gives (32); each further row that wants logits
    // in one decode() adds vocab floats. Throws Error(invalid_argument) where that is more than fits a size.
    static size_t bytes_needed(const Model& model, const SessionOptions& options, size_t n_threads);

  private:
    void check(std::span<const BatchRow> batch) const;
    void run_pass(std::span<const BatchRow> rows);
    void run_blocks(const RowSet& rows);
    std::vector<Segment> segments_of(std::span<const BatchRow> rows) const;
    void collect_logits(std::span<const BatchRow> rows);

    const Model& model_;
    size_t context_;
    size_t longest_;  // positions of one sequence
    std::unique_ptr<Backend> backend_;
    Forward forward_;
    SlotMemory slots_;
    KvCache cache_;
    std::function<bool()> cancelled_;
    std::vector<float> logits_;  // (n_logits, vocab)
    size_t n_logits_ = 0;
};

}  // namespace gq
