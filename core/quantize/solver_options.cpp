// Names and ranges of the solver's options. See solver_options.h.
#include "core/quantize/solver_options.h"

#include <span>
#include <string>

#include "core/base/status.h"

namespace gq {
namespace {

// In the order of their enum.
constexpr const char* order_names[] = {"column", "act", "gar"};
constexpr const char* search_names[] = {"span", "clip", "joint"};

size_t index_of(const char* what, std::span<const char* const> names, std::string_view name) {
    std::string known;
    for (size_t i = 0; i < names.size(); ++i) {
        if (name == names[i]) return i;
        known += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    fail(Status::invalid_argument, "%s: expected %s, found '%.*s'", what, known.c_str(), static_cast<int>(name.size()),
         name.data());
}

void check_share(const char* what, double value) {
    if (!(value >= 0 && value <= 1)) fail(Status::invalid_argument, "%s: expected 0 to 1, found %g", what, value);
}

}  // namespace

const char* name_of(Order order) {
    return order_names[static_cast<size_t>(order)];
}

const char* name_of(GridSearch search) {
    return search_names[static_cast<size_t>(search)];
}

Order order_of(std::string_view name) {
    return static_cast<Order>(index_of("order", order_names, name));
}

GridSearch grid_search_of(std::string_view name) {
    return static_cast<GridSearch>(index_of("grid search", search_names, name));
}

void check_solver_options(const GptqOptions& o) {
    if (!(o.damping >= 0 && o.damping <= 1))
        fail(Status::invalid_argument, "damping: expected a share of the mean diagonal from 0 to 1, found %g",
             o.damping);
    check_share("qep", o.qep);
    check_share("gptaq", o.gptaq);
    if (!(o.foem >= 0 && o.foem < 1)) fail(Status::invalid_argument, "foem: expected 0 to below 1, found %g", o.foem);
    if (o.qep > 0 && o.gptaq > 0)
        fail(Status::invalid_argument, "qep %g and gptaq %g: expected one of them, they correct the same error", o.qep,
             o.gptaq);
    if ((o.sweeps > 0 || o.refit) && !o.static_grids())
        fail(Status::invalid_argument, "%s: expected order act or gar, found column: its grids depend on the codes",
             o.sweeps > 0 ? "sweeps" : "refit");
}

}  // namespace gq
