// The report on a finished .gq: what its provenance tells, and the sizes and forms that its directory tells.
// In: a .gq, and where more is known than it holds, that provenance. Out: one JSON object. Must not know how it is
// shown; report_html.h makes the page of it.
#pragma once

#include <filesystem>
#include <string>

#include "formats/gq_file.h"
#include "formats/json.h"
#include "formats/output_file.h"

namespace gq {

// The members of the provenance; `tensors`, an object for each tensor of the file with name, codes, grid, shape, group,
// bytes (an object: part → bytes) and what the provenance tells of it (report.h); `sections` (name → bytes) and
// `file_bytes`. `name` is what errors call the file: FormatError where the provenance is no JSON.
JsonValue file_report(const GqFile& file, const std::string& name);

// Writes the report on the finished `gq_file` to `file`, which becomes `report`: the page where that name ends in
// .html, otherwise JSON. `provenance`: all there is to tell, of which a file made for a target may have left out words.
// `seconds`: what quantizing took, told here and nowhere in the .gq. Error(io) where it can't be written.
void write_report(OutputFile& file, double seconds, const std::filesystem::path& gq_file, const std::string& provenance,
                  const std::filesystem::path& report);

}  // namespace gq
