// Quantizing through gq.h.
// In: paths and options of the caller, checked here. Out: a .gq file, progress through the callback, gq_status.
// Must not know how weights are rounded: core/quantize does.
#include <algorithm>
#include <cstring>

#include "core/api/boundary.h"
#include "core/api/handles.h"
#include "core/quantize/kept_blocks.h"
#include "core/quantize/recipe.h"
#include "core/quantize/solver_options.h"

namespace gq {
namespace {

gq_quantize_options quantize_defaults() {
    gq_quantize_options options;
    gq_quantize_defaults(&options);
    return options;
}

// Whether anything but its widths tells how to round: then blocks of a GGUF are rounded again.
bool asks_for_rounding(const gq_quantize_options& o) {
    const gq_quantize_options d = quantize_defaults();
    const bool names =
        o.grid || o.codes || o.order || o.grid_search || o.recipe || o.calibration_path || o.calibration_self;
    const bool solver = o.method != d.method || o.damping != d.damping || o.qep != d.qep || o.gptaq != d.gptaq ||
                        o.foem != d.foem || o.sweeps != d.sweeps || o.refit != d.refit || o.adaptive_damping ||
                        o.held_out_windows != d.held_out_windows || o.true_sequential != d.true_sequential;
    const bool model = o.rotate != d.rotate || o.lorc_rank != d.lorc_rank || o.distill_epochs != d.distill_epochs ||
                       o.refine_epochs != d.refine_epochs;
    const bool calibration =
        o.calibration_windows != d.calibration_windows || o.calibration_window != d.calibration_window;
    return names || solver || model || calibration || o.group != d.group;
}

// Widths that are not given: of a target they are chosen, else the source's blocks are kept where it has some, and the
// rest has the defaults.
void set_widths(const char* source, const gq_quantize_options& o, QuantizeOptions& to) {
    const QuantizeOptions d;
    const bool has_bits = o.bits != 0 || o.target_bytes != 0 || o.target_bpw != 0;
    const bool has_embed_bits = o.embed_bits != 0 || o.target_bytes != 0;
    if (!has_bits) to.bits = d.bits;
    if (!has_embed_bits) to.embed_bits = d.embed_bits;
    to.keep_blocks = !has_bits && !asks_for_rounding(o) && holds_blocks(*open_checkpoint(source));
    to.keep_outer = to.keep_blocks && !has_embed_bits;
}

constexpr size_t other_windows = 4;  // held out or judged, where nobody says how many
constexpr char best[] = "best";      // in the place of a recipe's name

bool wants_best(const gq_quantize_options& o) {
    return o.recipe && std::strcmp(o.recipe, best) == 0;
}

// What best tries is not asked for beside it.
void check_best(const gq_quantize_options& o) {
    const auto check = [](const char* name, bool by_recipe) {
        if (!by_recipe) fail(Status::invalid_argument, "recipe best: expected no %s, which it chooses", name);
    };
    check("grid_search", !o.grid_search);
    check("qep", o.qep == GQ_BY_RECIPE);
    check("sweeps", o.sweeps == GQ_BY_RECIPE);
    check("refit", o.refit == GQ_BY_RECIPE);
    check("rotate", o.rotate == GQ_BY_RECIPE);
    check("refine_epochs", o.refine_epochs == GQ_BY_RECIPE);
}

size_t at_least(const char* name, int32_t value, int32_t least) {
    if (value < least) fail(Status::invalid_argument, "%s: expected at least %d, found %d", name, least, value);
    return static_cast<size_t>(value);
}

// The recipe, then what the caller says more exactly. A part of the recipe gives way to what it does not go with.
void set_recipe(const gq_quantize_options& o, QuantizeOptions& to) {
    const bool windows_by_recipe = o.calibration_windows == GQ_BY_RECIPE;
    if (wants_best(o)) {
        check_best(o);
        for (const Recipe& recipe : all_recipes())
            if (windows_by_recipe) to.windows = std::max(to.windows, recipe.windows);
        return;
    }
    if (o.recipe && to.method != Method::gptq)
        fail(Status::invalid_argument, "recipe: expected NULL for rounding to nearest, found '%s'", o.recipe);
    if (to.method == Method::gptq) {
        const Codes* const codes = o.codes ? find_codes(o.codes) : nullptr;
        const Recipe& recipe = o.recipe ? recipe_of(o.recipe) : default_recipe(codes ? codes->value_bits : to.bits);
        if (windows_by_recipe) to.windows = recipe.windows;
        to = with_recipe(recipe, std::move(to));
    }
    if (o.grid_search) to.solver.search = grid_search_of(o.grid_search);
    if (o.qep != GQ_BY_RECIPE) to.solver.qep = o.qep;
    if (o.sweeps != GQ_BY_RECIPE) to.solver.sweeps = at_least("sweeps", o.sweeps, 0);
    if (o.refit != GQ_BY_RECIPE) to.solver.refit = o.refit != 0;
    if (o.rotate != GQ_BY_RECIPE) {
        to.rotate = o.rotate != 0;
        to.rotate_by_recipe = false;
    }
    if (o.refine_epochs != GQ_BY_RECIPE) to.refine_epochs = at_least("refine_epochs", o.refine_epochs, 0);
}

QuantizeOptions from_c(const char* source, const gq_quantize_options& o) {
    if (o.method != GQ_METHOD_GPTQ && o.method != GQ_METHOD_RTN)
        fail(Status::invalid_argument, "method: expected GQ_METHOD_GPTQ or GQ_METHOD_RTN, found %d", o.method);
    if (o.lorc_method != GQ_LORC_EORA && o.lorc_method != GQ_LORC_LORC)
        fail(Status::invalid_argument, "lorc_method: expected GQ_LORC_EORA or GQ_LORC_LORC, found %d", o.lorc_method);
    QuantizeOptions to;
    to.bits = static_cast<unsigned>(at_least("bits", o.bits, 0));
    to.group = o.group == -1 ? chosen_group : at_least("group", o.group, 0);
    to.method = o.method == GQ_METHOD_RTN ? Method::rtn : Method::gptq;
    if (o.codes) to.codes = o.codes;
    if (o.order) to.solver.order = order_of(o.order);
    to.solver.damping = o.damping;
    to.solver.gptaq = o.gptaq;
    to.solver.foem = o.foem;
    to.lorc_rank = at_least("lorc_rank", o.lorc_rank, 0);
    to.lorc_method = o.lorc_method == GQ_LORC_LORC ? LorcMethod::lorc : LorcMethod::eora;
    to.embed_bits = static_cast<unsigned>(at_least("embed_bits", o.embed_bits, 0));
    to.target_bytes = o.target_bytes;
    to.target_bpw = o.target_bpw;
    if (o.grid || has_target(to)) to.grid = o.grid ? o.grid : chosen_grid;
    set_widths(source, o, to);
    const auto path = [](const char* name, const char* value) {
        if (*value == '\0') fail(Status::invalid_argument, "%s: expected a path or NULL, found an empty path", name);
        return value;
    };
    if (o.calibration_path) to.calibration = path("calibration_path", o.calibration_path);
    to.own_text = o.calibration_self != 0;
    if (o.calibration_path && to.own_text)
        fail(Status::invalid_argument, "calibration_path: expected NULL with calibration_self, found '%s'",
             o.calibration_path);
    if (to.own_text && to.method == Method::rtn)
        fail(Status::invalid_argument, "calibration_self: expected 0 for rounding to nearest, found %d",
             o.calibration_self);
    if (o.calibration_path && to.method == Method::rtn)
        fail(Status::invalid_argument, "calibration_path: expected NULL for rounding to nearest, found '%s'",
             o.calibration_path);
    if (o.calibration_windows != GQ_BY_RECIPE) to.windows = at_least("calibration_windows", o.calibration_windows, 1);
    to.window = at_least("calibration_window", o.calibration_window, 2);
    to.distill_epochs = at_least("distill_epochs", o.distill_epochs, 0);
    const auto windows_or = [&](const char* name, int32_t value, bool usual) {
        return value != GQ_BY_RECIPE ? at_least(name, value, 0) : usual ? other_windows : 0;
    };
    to.held_out = windows_or("held_out_windows", o.held_out_windows, to.method == Method::gptq && to.bits != 16);
    to.judged = windows_or("judged_windows", o.judged_windows, o.report_path != nullptr);
    to.true_sequential = o.true_sequential != 0;
    to.adaptive_damping = o.adaptive_damping != 0;
    if (o.report_path) to.report = path("report_path", o.report_path);
    set_recipe(o, to);
    check_options(to);
    return to;
}

gq_quantize_progress to_c(const QuantizeProgress& p) {
    const double rows = static_cast<double>(p.rows);
    return {.tensor = p.tensor.empty() ? nullptr : p.tensor.c_str(),
            .n_done = static_cast<int32_t>(p.n_done),
            .n_total = static_cast<int32_t>(p.n_total),
            .loss = p.report ? p.report->true_loss / rows : -1,
            .rtn_loss = p.report ? p.report->rtn_loss / rows : -1,
            .damping = p.report ? p.report->damping : 0,
            .seconds = p.seconds,
            .seconds_left = p.seconds_left,
            .note = p.note.c_str(),
            .activity = p.activity.c_str()};
}

QuantizeCallback progress_of(gq_quantize_callback callback, void* user) {
    if (!callback) return {};
    return [=](const QuantizeProgress& p) {
        const gq_quantize_progress report = to_c(p);
        return callback(&report, user) != 0;
    };
}

}  // namespace
}  // namespace gq

extern "C" {

void gq_quantize_defaults(gq_quantize_options* options) {
    if (!options) return;
    const gq::QuantizeOptions d;
    *options = {.struct_size = sizeof *options,
                .bits = 0,
                .group = static_cast<int32_t>(d.group),
                .method = GQ_METHOD_GPTQ,
                .grid = nullptr,
                .order = nullptr,
                .grid_search = nullptr,
                .damping = d.solver.damping,
                .qep = GQ_BY_RECIPE,
                .gptaq = d.solver.gptaq,
                .foem = d.solver.foem,
                .sweeps = GQ_BY_RECIPE,
                .refit = GQ_BY_RECIPE,
                .rotate = GQ_BY_RECIPE,
                .lorc_rank = static_cast<int32_t>(d.lorc_rank),
                .lorc_method = GQ_LORC_EORA,
                .embed_bits = 0,
                .target_bytes = 0,
                .target_bpw = 0,
                .calibration_path = nullptr,
                .calibration_windows = GQ_BY_RECIPE,
                .calibration_window = static_cast<int32_t>(d.window),
                .held_out_windows = GQ_BY_RECIPE,
                .adaptive_damping = d.adaptive_damping,
                .n_threads = 0,
                .isa = nullptr,
                .report_path = nullptr,
                .distill_epochs = static_cast<int32_t>(d.distill_epochs),
                .refine_epochs = GQ_BY_RECIPE,
                .codes = nullptr,
                .recipe = nullptr,
                .calibration_self = 0,
                .judged_windows = GQ_BY_RECIPE,
                .true_sequential = d.true_sequential};
}

gq_status gq_quantize(const char* source, const char* output, const gq_quantize_options* options,
                      gq_quantize_callback callback, void* user) {
    return gq::guarded([&] {
        gq::require(source, "source");
        gq::require(output, "output");
        const gq_quantize_options c = gq::options_or_defaults(options, gq::quantize_defaults(), "gq_quantize_options");
        const gq::QuantizeOptions o = gq::from_c(source, c);
        gq::ThreadPool pool(gq::threads_of(c.n_threads));
        const gq::Compute compute{pool, gq::kernels_of(c.isa)};
        if (gq::wants_best(c)) {
            gq::quantize_best(source, output, o, compute, gq::progress_of(callback, user));
        } else {
            gq::quantize_model(source, output, o, compute, gq::progress_of(callback, user));
        }
        return GQ_OK;
    });
}

gq_status gq_measure_sensitivity(const char* source, const gq_quantize_options* options, gq_quantize_callback callback,
                                 void* user) {
    return gq::guarded([&] {
        gq::require(source, "source");
        gq_quantize_options c = gq::options_or_defaults(options, gq::quantize_defaults(), "gq_quantize_options");
        if (gq::wants_best(c))
            gq::fail(gq::Status::invalid_argument, "recipe: expected one by name to measure with, found 'best'");
        c.held_out_windows = c.judged_windows = 0;  // each matrix is looked at alone, under its Hessian
        if (!c.recipe && c.method == GQ_METHOD_GPTQ)
            c.recipe = gq::all_recipes().front().name;  // plain: the matrices as they are
        const gq::QuantizeOptions o = gq::from_c(source, c);
        gq::ThreadPool pool(gq::threads_of(c.n_threads));
        gq::measure_model(source, o, {pool, gq::kernels_of(c.isa)}, gq::progress_of(callback, user));
        return GQ_OK;
    });
}

}  // extern "C"
