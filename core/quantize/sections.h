// The sections of a .gq beside its tensors: hyper-parameters, tokenizer, chat template, generation settings.
// In: a checkpoint and what was read from it. Out: their bytes, made before the work starts and read back here as
// opening the file reads them, so that hours of work never end in a file that doesn't open. Must not know weights or
// calibration.
#pragma once

#include <string>
#include <vector>

#include "core/model/hyper_params.h"
#include "core/text/tokenizer.h"
#include "formats/gq_file.h"

namespace gq {

struct Sections {
    std::string model, generation;
    std::string chat_template;  // empty: none
    std::string chat_error;     // why chats can't be rendered with it, empty when they can; the file opens all the same
    std::vector<std::byte> tokenizer;
};

// Throws Error | FormatError, naming the checkpoint, for whatever LoadedModel::open would refuse: more tokens than the
// embedding has rows, sampling settings out of range, a tokenizer that does not survive its compact form.
Sections make_sections(const Checkpoint& checkpoint, const HyperParams& params, const Tokenizer& tokenizer);

void write_sections(GqWriter& writer, const Sections& sections, const std::string& provenance);

}  // namespace gq
