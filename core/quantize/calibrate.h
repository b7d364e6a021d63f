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

// One path through the network over all windows: its hidden states, and the KV cache and slots that they go through.
// The weights come with each call, since they become known stage by stage. The quantized path is one; methods that
// compare it with the float model bring a second.
class Stream {
  public:
    Stream(const Network& network, const KvGeometry& one_layer, const Compute& compute, size_t n_windows,
           size_t window);

    void embed(const Weight& embedding, std::span<const std::vector<int32_t>> windows);
    // Runs steps [begin, end) of a block over every window, keeping only what later steps (or the next block) read.
    void run(const StepList& block, size_t begin, size_t end, const BlockWeights& weights);
    // All windows' rows of a slot that is kept, one after another: (windows * window, width).
    Matrix rows(SlotId slot);
    void set_rows(SlotId slot, const Matrix& rows);
    // H = 2 / tokens · Σ x xᵀ over all rows of a slot; (width, width), both triangles.
    Matrix hessian(SlotId slot);

  private:
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
