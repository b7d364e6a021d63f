// The report's pictures: heat maps of layer × linear, losses by layer, sizes.
// In: a report's figures. Out: HTML with inline SVG, "" where there is nothing to show; colours are classes of
// report_style.h. Must not know the page around them.
#pragma once

#include <string>

#include "core/quantize/report_data.h"

namespace gq {

std::string error_map(const ReportData& data);     // relative error of every linear, colours by its logarithm
std::string loss_map(const ReportData& data);      // loss at the output, of the solved ones
std::string rounding_map(const ReportData& data);  // loss ÷ that of plain rounding
std::string form_map(const ReportData& data);      // codes and grids; a sentence where all linears have the same
std::string loss_chart(const ReportData& data);    // loss and plain rounding's, a line each over the layers
std::string size_chart(const ReportData& data);    // what the file's bytes are for

}  // namespace gq
