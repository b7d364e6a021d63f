// Calibration: tokens → windows, and the forward pass stage by stage over all of them.
// In: text, a network, weights. Out: Hessians of stage inputs, and hidden states behind a stage. Must not know how
// weights are rounded.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/linalg/gemm.h"
#include "core/model/forward.h"
#include "core/quantize/hidden_store.h"
#include "core/runtime/kv_cache.h"
#include "core/text/tokenizer.h"

namespace gq {

// A calibration file whole. FormatError where it can't be read, Error(bad_file) naming file and byte where it is not
// UTF-8.
std::string read_calibration_text(const std::filesystem::path& path);

// `windows` windows of `window` tokens, spread evenly: window i starts at token i * ((tokens - window) / windows).
// Error(invalid_argument) naming the tokens needed and found when the text is too short, Error(bad_file) naming an id
// that is outside of the model's vocabulary of `vocab` tokens (rows of the embedding).
std::vector<std::vector<int32_t>> cut_windows(const Tokenizer& tokenizer, std::string_view text, size_t windows,
                                              size_t window, size_t vocab);

// Floats in memory as a linear's weight.
PackedMatrix row_major_f32(const float* values, size_t rows, size_t cols);

// The rows of a vocabulary's matrix that some windows use, as floats, and those windows with ids that count these rows.
struct UsedRows {
    std::vector<int32_t> ids;                   // ascending, the rows' ids in the vocabulary
    AlignedBuffer<float> values;                // (ids.size(), cols)
    std::vector<std::vector<int32_t>> windows;  // positions in ids
    size_t cols = 0;

    UsedRows(std::span<const std::vector<int32_t>> windows_of_ids, size_t n_cols);
    // values: rows [first, first + n) of the vocabulary's matrix, (n, cols). Takes those that are used.
    void take(size_t first, size_t n, const float* values);
    Weight weight() const { return {.matrix = row_major_f32(values.data(), ids.size(), cols)}; }
};

// How many windows a text is cut into, and in which order they come.
struct WindowCounts {
    size_t calibration = 0, held_out = 0, judging = 0;
    size_t all() const { return calibration + held_out + judging; }
};
// Windows in the order of the text, brought into that of their kinds, each of which is spread over the whole text.
std::vector<std::vector<int32_t>> by_kind(std::vector<std::vector<int32_t>> windows, const WindowCounts& counts);
// Calibration windows as cut_windows would cut them alone, and the others between them, overlapping with none. Where a
// text has too little room for those that are held out, these and the former are cut as one and shared out by_kind.
// Windows to judge by change nothing of all that: there are as many as still fit, fewer than asked for or none. Errors
// as cut_windows.
std::vector<std::vector<int32_t>> cut_by_kind(const Tokenizer& tokenizer, std::string_view text,
                                              const WindowCounts& counts, size_t window, size_t vocab);

struct WindowRange {
    size_t begin = 0, end = 0;
};

// The cache of one layer, in floats: calibration rounds nothing but weights.
KvGeometry float_kv_layer(const HyperParams& params);

// One path through the network over all windows: its hidden states, and the KV cache and slots that they go through.
// The weights come with each call, since they become known stage by stage. The quantized path is one; methods that
// compare it with the float model bring a second.
class Stream {
  public:
    Stream(const Network& network, const KvGeometry& one_layer, const Compute& compute, size_t n_windows, size_t window,
           Precision precision = Precision::exact);

    void embed(const Weight& embedding, const BlockWeights& outer, std::span<const std::vector<int32_t>> windows);
    // Runs steps [begin, end) of a block over every window, keeping only what later steps (or the next block) read.
    void run(const StepList& block, size_t begin, size_t end, const BlockWeights& weights);
    // The network's epilogue over every window's residual stream; only what the head reads is kept.
    void run_epilogue(const BlockWeights& outer);
    // All windows' rows of a slot that is kept, one after another: (windows * window, width).
    Matrix rows(SlotId slot);
    void set_rows(SlotId slot, const Matrix& rows);
    WindowRange all() const { return {0, n_windows_}; }
    // H = 2 / tokens · Σ x xᵀ over the rows of a slot in some windows; (width, width), both triangles.
    Matrix hessian(SlotId slot, WindowRange windows);
    Matrix hessian(SlotId slot) { return hessian(slot, all()); }
    // D = 2 / tokens · Σ (y − x) xᵀ, x the rows of a slot and y those of the same tokens in `reference`, which stands
    // at the same step: how far this stream's inputs have drifted from the float model's. (width, width).
    Matrix drift(Stream& reference, SlotId slot, WindowRange windows);

  private:
    RowSet positions_alone() const;
    MatrixView window_rows(SlotId slot, size_t window);
    void place_window(std::span<const SlotId> slots, size_t window);
    void keep_only(std::span<const SlotId> slots);
    void scale_by_tokens(Matrix& sums, WindowRange windows) const;

    const Network& network_;
    const Compute compute_;
    std::unique_ptr<Backend> backend_;
    Forward forward_;
    SlotMemory slots_;
    KvCache cache_;  // one layer, one window: refilled for each
    HiddenStore hidden_;
    GemmWorkspace workspace_;
    std::vector<int32_t> positions_;
    size_t n_windows_, window_;
};

}  // namespace gq
