// The table of recipes. See recipe.h.
// In: names, widths, networks. Out: settings. Must not know how they are carried out.
#include "core/quantize/recipe.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/names.h"
#include "core/base/status.h"
#include "core/quantize/rotate.h"

namespace gq {
namespace {

// clang-format off
constexpr Recipe recipes[] = {
    {"plain", "GPTQ, each group's range searched", GridSearch::clip, 0, 0, false, false, 0, 32},
    {"qep", "half of what earlier layers changed is corrected", GridSearch::clip, 0.5, 0, false, false, 0, 32},
    {"sweeps", "codes descend twice, then grids are fitted to them", GridSearch::clip, 0.5, 2, true, false, 0, 32},
    {"rotate", "residual stream and values are rotated", GridSearch::clip, 0.5, 0, false, true, 0, 32},
    {"rotate-sweeps", "rotate and sweeps together", GridSearch::clip, 0.5, 2, true, true, 0, 32},
    {"refine", "rotate-sweeps, then grids and norms are trained end to end", GridSearch::clip, 0.5, 2, true, true, 2, 64},
};
// clang-format on

// By width, up to and including `bits`, wider ones plain; mixtures count as 3 bits.
constexpr struct {
    unsigned bits;
    const char* recipe;
} defaults[] = {{3, "refine"}, {6, "rotate"}};

void tell_left_out(const Recipe& recipe, const QuantizeOptions& options) {
    const auto tell = [&](bool left_out, const char* what, const char* why) {
        if (left_out) log_message(LogLevel::info, "recipe %s: no %s, %s", recipe.name, what, why);
    };
    tell(recipe.qep > options.solver.qep, "QEP", "which does not go along with GPTAQ");
    tell(recipe.sweeps > options.solver.sweeps, "sweeps and re-fit", "whose grids the order column does not fix");
    tell(recipe.refine_epochs > options.refine_epochs, "refinement",
         "which takes two windows at least and no correction of low rank");
}

}  // namespace

std::span<const Recipe> all_recipes() {
    return recipes;
}

const Recipe& recipe_of(std::string_view name) {
    for (const Recipe& recipe : recipes)
        if (name == recipe.name) return recipe;
    const std::string known = join_names(recipes, [](const Recipe& recipe) { return recipe.name; });
    fail(Status::invalid_argument, "recipe: expected %s or best, found '%.*s'", known.c_str(),
         static_cast<int>(name.size()), name.data());
}

const Recipe& default_recipe(unsigned bits) {
    const unsigned width = bits == chosen_bits ? 3 : bits;
    const auto* const row = std::find_if(std::begin(defaults), std::end(defaults),
                                         [&](const auto& candidate) { return width <= candidate.bits; });
    return recipe_of(row == std::end(defaults) ? "plain" : row->recipe);
}

QuantizeOptions with_recipe(const Recipe& recipe, QuantizeOptions options) {
    options.recipe = recipe.name;
    options.solver.search = recipe.search;
    options.solver.qep = options.solver.gptaq > 0 ? 0 : recipe.qep;
    const bool fixed = options.solver.static_grids();
    options.solver.sweeps = fixed ? recipe.sweeps : 0;
    options.solver.refit = fixed && recipe.refit;
    options.rotate = options.rotate_by_recipe = recipe.rotate && !options.keep_blocks;
    const bool trainable = options.lorc_rank == 0 && options.windows > 1 && !options.keep_blocks;
    options.refine_epochs = trainable ? recipe.refine_epochs : 0;
    if (!options.keep_blocks) tell_left_out(recipe, options);  // else nobody asked for the recipe
    return options;
}

QuantizeOptions suited_to(const SourceModel& source, QuantizeOptions options, std::string& left_out) {
    left_out.clear();
    if (!options.rotate || !options.rotate_by_recipe) return options;
    try {
        plan_rotation(source.network(), source.arch().block_weights.size());
    } catch (const Error& error) {
        if (error.status() != Status::unsupported) throw;
        options.rotate = false;
        left_out = "recipe " + options.recipe + " without its part: " + error.what();
    }
    return options;
}

}  // namespace gq
