// The text that calibrates a model when the user brings none: written for this purpose, compiled in.
// Out: UTF-8 of about 280 KB: encyclopedic prose, some of it as corpora for language models have it, with marks apart
// from words; stories, dialogue, instructions, code, tables, ten natural languages.
#pragma once

#include <string_view>

namespace gq {

std::string_view builtin_calibration_text();

}  // namespace gq
