// Recipes: settings of the quantizer that measured well together, by name. The table in recipe.cpp is what a width
// means where nobody says more, and what `best` tries.
// In: a name or a width; a network, which may not take all of it. Out: options with the recipe's settings. Must not
// know weights, and measures nothing: the README has the figures.
#pragma once

#include <span>
#include <string_view>

#include "core/model/model.h"
#include "core/quantize/quantize.h"

namespace gq {

struct Recipe {
    const char* name;
    const char* what;  // it adds to what its forerunners do, for people
    GridSearch search;
    double qep;
    size_t sweeps;
    bool refit;
    bool rotate;
    size_t refine_epochs;
    size_t windows;  // of calibration text, where nobody says how many
};

// From the cheapest to the dearest.
std::span<const Recipe> all_recipes();
// Error(invalid_argument) listing the names where none is this.
const Recipe& recipe_of(std::string_view name);
// What measured best at that width within a few times the cost of plain GPTQ. bits: also chosen_bits.
const Recipe& default_recipe(unsigned bits);

// The options with the recipe's settings instead of their own; width, grid, calibration and what else a recipe does not
// name stay. Settings that can't go along with those that stay are left out: training on one window and with a
// correction of low rank, sweeps and re-fits with the order column, QEP with GPTAQ; the log says so.
QuantizeOptions with_recipe(const Recipe& recipe, QuantizeOptions options);

// Without a rotation that a recipe has set and the network refuses: `left_out` says why then, else it is empty. One
// that was asked for stays, for the network's own error.
QuantizeOptions suited_to(const SourceModel& source, QuantizeOptions options, std::string& left_out);

// Tries all recipes on the same calibration windows, and keeps the file whose predictions on some further ones, which
// no solve has seen, diverge least from the float model's. Each try is a quantize_model() into a file beside `output`
// (.try, the best so far .best; the same for a report), gone in the end. The log tells what each came to. Of options
// those that recipes set have no effect; held-out and judged windows are 4 at least.
// Errors as quantize_model; Error(invalid_argument) also where a file has one of those names.
void quantize_best(const std::filesystem::path& source, const std::filesystem::path& output,
                   const QuantizeOptions& options, const Compute& compute, const QuantizeCallback& progress);

}  // namespace gq
