// Which text calibrates: a file, the built-in one, or one that the model writes.
// In: options, a float model. Out: a text and its name. Must not know how windows are cut, or what becomes of them.
#pragma once

#include <functional>
#include <string>

#include "core/kernels/compute.h"
#include "core/model/model.h"
#include "core/quantize/quantize.h"
#include "core/text/tokenizer.h"

namespace gq {

struct CalibrationText {
    std::string text;
    std::string name;  // "built-in", "self", or the file's
};

inline constexpr const char* writing_text = "the model writes calibration text";  // as an activity

// Holds the float model in 16 bits while it writes, calling between_steps, which may throw, to cancel. Errors as
// read_calibration_text.
CalibrationText calibration_text(const QuantizeOptions& options, const Checkpoint& checkpoint,
                                 const SourceModel& source, const Tokenizer& tokenizer, const Compute& compute,
                                 const std::function<void()>& between_steps);

}  // namespace gq
