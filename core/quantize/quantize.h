// The door of the quantizer: a checkpoint → a .gq.
// In: paths and options. Out: a file that appears under its name only when all is well, and progress on the way.
// Must not know terminals or C; the library's API and the tools come through here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/kernels/compute.h"
#include "core/quantize/gptq.h"
#include "formats/checkpoint.h"

namespace gq {

enum class Method { gptq, rtn };
enum class LorcMethod { lorc, eora };  // lorc.h: errors measured in the weights, or at the outputs

// Instead of a width, a group or a grid: a target decides, for each matrix.
inline constexpr unsigned chosen_bits = 0;
inline constexpr size_t chosen_group = SIZE_MAX;
inline constexpr const char* chosen_grid = "";

struct QuantizeOptions {
    // Any width that integer codes exist for: 2, 3, 4, 5, 6, 8. 16: no rounding to integers; f16 and bf16 are kept as
    // they are, f32 (and what GGUF stores in blocks) is narrowed to f16, or to bf16 where f16 would overflow.
    unsigned bits = 4;
    // Matrices that a GGUF holds in blocks stay as they are, bit by bit, and everything here is for the others: those
    // of the blocks of the network; embedding and head.
    bool keep_blocks = false, keep_outer = false;
    std::string codes = {};  // a name of packing.h instead of the integers of `bits`: "table4"; empty: those
    size_t group = 128;      // 0: one scale a row
    // Mixed widths, one of the two at most, with bits = chosen_bits; 0: none. A file of at most that many bytes, which
    // chooses embed_bits too where they are chosen_bits; or at most that many bits for each weight of the linears.
    uint64_t target_bytes = 0;
    double target_bpw = 0;
    Method method = Method::gptq;
    std::string grid = "zero_point";                    // a name of packing.h; embedding and head too, if not chosen
    GptqOptions solver = {.search = GridSearch::clip};  // its grid comes from the options here; without GPTQ nothing
    bool rotate = false;                                // R1 and R2 of rotate.h
    bool rotate_by_recipe = false;  // nobody asked for it: without it where the network does not allow it
    // Rank of the correction that a block's linears get beside their integers; 0: none. Matrices that are narrower get
    // all the rank they have.
    size_t lorc_rank = 0;
    LorcMethod lorc_method = LorcMethod::eora;  // without calibration always lorc
    size_t distill_epochs = 0;                  // over the calibration text for every block, distill.h; 0: none
    size_t refine_epochs = 0;                // of the whole model's grids and norms behind it, distill_model.h; 0: none
    unsigned embed_bits = 8;                 // embedding and head; widths as of bits
    std::filesystem::path calibration = {};  // UTF-8 text; empty: the built-in text
    bool own_text = false;                   // what the model writes instead of those, own_text.h
    std::string written_text = {};           // the same where it is known already
    size_t windows = 32, window = 512;       // spread evenly over the text, stride (tokens - window) / windows
    // Windows besides those, spread among them, that no solve sees. Each tensor is then rounded to nearest where that
    // loses less on them, and they choose the epoch of a training that is kept.
    size_t held_out = 0;
    std::string recipe = {};  // that the settings began with; "": none (recipe.h)
    // Windows besides all those, by which the result is judged, also without calibration; 0: it isn't.
    size_t judged = 0;
    // A block's later linears are solved for what its rounded earlier ones give them; false: for what floats do.
    bool true_sequential = true;
    bool adaptive_damping = false;      // solver.damping is the best on them, of a few, stage by stage
    std::filesystem::path report = {};  // a page where its name ends in .html, else JSON; empty: none
};

// What became of the model, by its int8 path on the windows that it is judged by.
struct Verdict {
    double kl = 0;  // KL(float || quantized) of a token, mean, nats
    double ppl = 0, float_ppl = 0;
    size_t tokens = 0;  // scored: the second half of each window
};

struct QuantizeProgress {
    std::string tensor = {};    // the one just written or measured
    std::string activity = {};  // what goes on where there is none
    size_t n_done = 0, n_total = 0;
    const SolveReport* report = nullptr;  // null for tensors that were not solved
    size_t rows = 0;                      // of the tensor
    double seconds = 0, seconds_left = -1;
    std::string note = {};
};
// True cancels: Error(cancelled), and nothing stands under the output's name.
using QuantizeCallback = std::function<bool(const QuantizeProgress&)>;

// Throws Error(invalid_argument) naming an option out of its range before any work.
void check_options(const QuantizeOptions& options);

bool has_target(const QuantizeOptions& options);

// The grid of all that no target chooses one for.
const Grid* uniform_grid(const QuantizeOptions& options);

// A file that is read while the output is written, or was read to make it, is no place for a result, nor for the
// PATH.partial that a result is written to: Error(invalid_argument) where `target`, named `what`, is one of them.
void refuse_replacing(const char* what, const std::filesystem::path& target, const Checkpoint& checkpoint,
                      const QuantizeOptions& options);

// The same of an output and of options.report; and these are two files, also while they are written.
void refuse_losses(const std::filesystem::path& output, const Checkpoint& checkpoint, const QuantizeOptions& options);

// What rounding each matrix alone does to the model (sensitivity.h): as JSON into a file, and a line for each, and for
// their means, through progress.note. Errors as quantize_model.
void measure_model(const std::filesystem::path& source, const QuantizeOptions& options, const Compute& compute,
                   const QuantizeCallback& progress);

// The verdict is there with judged windows that the text has room for; not where predictions are no numbers, which the
// file and the log then say.
std::optional<Verdict> quantize_model(const std::filesystem::path& source, const std::filesystem::path& output,
                                      const QuantizeOptions& options, const Compute& compute,
                                      const QuantizeCallback& progress);

}  // namespace gq
