// The text that calibrates a model when the user brings none: written for this purpose, compiled in.
// Out: UTF-8 of about 180 KB: encyclopedic prose, stories, dialogue, instructions, code, tables, ten natural languages.
#pragma once

#include <string_view>

namespace gq {

std::string_view builtin_calibration_text();

}  // namespace gq
