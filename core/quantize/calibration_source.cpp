// See calibration_source.h.
// In: options. Out: text. Must not know how a model samples, only how much is needed and what ends a document.
#include "core/quantize/calibration_source.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/calibration_text.h"
#include "core/quantize/float_model.h"
#include "core/quantize/own_text.h"

namespace gq {
namespace {

std::string written_by(const SourceModel& source, const QuantizeOptions& options, const Checkpoint& checkpoint,
                       const Tokenizer& tokenizer, const Compute& compute, const std::function<void()>& between_steps) {
    const RotatedSource as_it_is(source, compute, false);
    const FloatModel floats(source, as_it_is, compute);
    const GenerationSettings settings = GenerationSettings::from_checkpoint(checkpoint, tokenizer);
    OwnTextOptions own;
    // One window more than is cut: then none overlaps the next, also where the text has fewer tokens when it is read.
    own.n_tokens = (options.windows + options.held_out + 1) * options.window;
    own.document_tokens = std::min(std::max(own.document_tokens, options.window), source.params().context);
    own.between_steps = between_steps;
    log_message(LogLevel::info, "the model writes %zu tokens to calibrate with", own.n_tokens);
    return write_own_text(floats.model(), tokenizer, settings.stop_ids, compute, own);
}

}  // namespace

CalibrationText calibration_text(const QuantizeOptions& options, const Checkpoint& checkpoint,
                                 const SourceModel& source, const Tokenizer& tokenizer, const Compute& compute,
                                 const std::function<void()>& between_steps) {
    const size_t context = source.params().context, most = source.network().most_positions;
    if (most > 0 && options.window > most)
        fail(Status::invalid_argument,
             "calibration: windows of at most %zu tokens, all the positions that this model has learned, expected, "
             "found %zu",
             most, options.window);
    if (options.window > context)
        log_message(LogLevel::warning, "calibration windows of %zu tokens, the model was trained for %zu",
                    options.window, context);
    if (!options.own_text) {
        if (options.calibration.empty()) return {std::string(builtin_calibration_text()), "built-in"};
        return {read_calibration_text(options.calibration), options.calibration.filename().string()};
    }
    if (!options.written_text.empty()) return {options.written_text, "self"};
    return {written_by(source, options, checkpoint, tokenizer, compute, between_steps), "self"};
}

}  // namespace gq
