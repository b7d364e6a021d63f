// The page of a quantization: one HTML file with inline SVG and CSS, no script, nothing to load; well-formed XML too.
// In: a report as JSON (file_report.h), with `figures` where the model was measured. Out: the page. Pure: the same
// report gives the same page. Must not know files.
#pragma once

#include <string>

#include "formats/json.h"

namespace gq {

// `figures`, a member of the report: what ./perplexity --json prints. Members that are missing are not shown.
std::string report_page(const JsonValue& report);

// Whether there is anything that the page shows among what may be figures.
bool has_figures(const JsonValue& figures);

}  // namespace gq
