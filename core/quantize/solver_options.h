// The solver's options as people write them: names of its choices, and which values go together.
// In: names, GptqOptions. Out: enums, or an error that lists what was expected. Must not know what solving is.
#pragma once

#include <string_view>

#include "core/quantize/gptq.h"

namespace gq {

const char* name_of(Order order);
const char* name_of(GridSearch search);
// Error(invalid_argument) listing the names where none is this.
Order order_of(std::string_view name);
GridSearch grid_search_of(std::string_view name);

// Error(invalid_argument) naming an option that is out of its range or does not go with another. The grid is not
// looked at.
void check_solver_options(const GptqOptions& options);

}  // namespace gq
