// The quantizer's door: options checked before any work, files that must not be touched refused. See quantize.h.
// In: paths, options. Out: a finished file, or nothing under its name. Must not know how the walk goes: walk.h.
#include "core/quantize/quantize.h"

#include <cmath>
#include <optional>

#include "core/base/names.h"
#include "core/base/status.h"
#include "core/quantize/file_report.h"
#include "core/quantize/solver_options.h"
#include "core/quantize/walk.h"
#include "formats/output_file.h"

namespace gq {
namespace {

// Integers as wide as some codes are, and floats.
void check_width(const char* option, unsigned bits) {
    if (bits == float_bits || find_integer_codes(bits)) return;
    std::vector<unsigned> widths;
    for (unsigned width = 1; width < float_bits; ++width)
        if (find_integer_codes(width)) widths.push_back(width);
    const std::string known = join_names(widths, [](unsigned width) { return std::to_string(width); });
    fail(Status::invalid_argument, "%s: expected %s or %u, found %u", option, known.c_str(), float_bits, bits);
}

void check_codes(const QuantizeOptions& o) {
    const Codes* codes = find_codes(o.codes);
    if (o.codes.empty() || (codes && !codes->is_float && o.bits != float_bits && !has_target(o))) return;
    const std::string known =
        join_names(all_codes(), [](const Codes* other) { return other->is_float ? "" : other->name; });
    fail(Status::invalid_argument, "codes: expected %s, and neither bits %u nor a target, found '%s' and bits %u",
         known.c_str(), float_bits, o.codes.c_str(), o.bits);
}

void check_grid(const std::string& name) {
    if (find_grid(name)) return;
    const std::string known = join_names(all_grids(), [](const Grid* grid) { return grid->name; });
    fail(Status::invalid_argument, "grid: expected %s, found '%s'", known.c_str(), name.c_str());
}

void check_training(const QuantizeOptions& o) {
    if (o.method != Method::gptq || o.windows < 2)
        fail(Status::invalid_argument, "distill and refine: expected method gptq and at least 2 calibration windows");
    if (o.lorc_rank > 0)
        fail(Status::invalid_argument,
             "distill and refine: expected a lorc rank of 0, for a correction is of weights before training, found %zu",
             o.lorc_rank);
}

// Blocks that are kept have their values and widths.
void check_keeping(const QuantizeOptions& o) {
    if (!o.keep_blocks && !o.keep_outer) return;
    if (o.rotate || o.lorc_rank > 0 || o.distill_epochs + o.refine_epochs > 0 || has_target(o))
        fail(Status::invalid_argument,
             "blocks as a GGUF holds them: expected neither a rotation, a correction, training nor a target beside");
}

// What a target decides is asked for nowhere else.
void check_target(const QuantizeOptions& o) {
    if (!std::isfinite(o.target_bpw) || o.target_bpw < 0)
        fail(Status::invalid_argument, "target: bits a weight above 0 expected, found %g", o.target_bpw);
    if (!has_target(o)) return;
    if (o.target_bytes > 0 && o.target_bpw > 0)
        fail(Status::invalid_argument, "target: bytes or bits a weight expected, found both: %llu and %g",
             static_cast<unsigned long long>(o.target_bytes), o.target_bpw);
    if (o.bits != chosen_bits)
        fail(Status::invalid_argument, "bits: expected %u with a target, which chooses them, found %u", chosen_bits,
             o.bits);
    if (o.method != Method::gptq)
        fail(Status::invalid_argument, "target: expected the method gptq, whose calibration measures the losses");
    if (o.solver.order == Order::gar && o.group == chosen_group)
        fail(Status::invalid_argument, "group: expected one for all with a target and the order gar");
}

}  // namespace

bool has_target(const QuantizeOptions& o) {
    return o.target_bytes > 0 || o.target_bpw > 0;
}

const Grid* uniform_grid(const QuantizeOptions& o) {
    return find_grid(o.grid == chosen_grid ? "zero_point" : o.grid);
}

void refuse_replacing(const char* what, const std::filesystem::path& target, const Checkpoint& checkpoint,
                      const QuantizeOptions& options) {
    std::vector<std::filesystem::path> inputs = checkpoint.files();
    if (!options.calibration.empty()) inputs.push_back(options.calibration);
    const std::filesystem::path partial = partial_of(followed(target));
    for (const std::filesystem::path& input : inputs) {
        std::error_code ignored;  // a target that does not exist yet is none of them
        if (std::filesystem::equivalent(target, input, ignored))
            fail(Status::invalid_argument, "%s %s: expected another file than the source's own %s", what,
                 target.c_str(), input.c_str());
        if (std::filesystem::equivalent(partial, input, ignored))
            fail(Status::invalid_argument,
                 "%s %s: expected another name, since it is written as %s, which is the source's own %s", what,
                 target.c_str(), partial.c_str(), input.c_str());
    }
}

namespace {

// The output and the report are two files, and each is PATH.partial while it is written.
void refuse_clash(const std::filesystem::path& output, const std::filesystem::path& report) {
    const auto place = [](const std::filesystem::path& name) {
        return std::filesystem::weakly_canonical(followed(name));  // which itself follows no link to nothing
    };
    const std::filesystem::path out = place(output), rep = place(report);
    if (out == rep || partial_of(out) == rep || out == partial_of(rep))
        fail(Status::invalid_argument, "report %s: expected another file than the output %s and its .partial",
             report.c_str(), output.c_str());
}

}  // namespace

void refuse_losses(const std::filesystem::path& output, const Checkpoint& checkpoint, const QuantizeOptions& options) {
    refuse_replacing("output", output, checkpoint, options);
    refuse_replacing("report", options.report, checkpoint, options);
    if (!options.report.empty()) refuse_clash(output, options.report);
}

namespace {

// What is asked for linears that stay floats.
void check_floats(const QuantizeOptions& o) {
    const struct {
        const char* name;
        double value;
    } asked[] = {{"lorc", static_cast<double>(o.lorc_rank)},
                 {"qep", o.solver.qep},
                 {"gptaq", o.solver.gptaq},
                 {"foem", o.solver.foem},
                 {"sweeps", static_cast<double>(o.solver.sweeps)},
                 {"refit", o.solver.refit ? 1.0 : 0.0},
                 {"distill", static_cast<double>(o.distill_epochs)},
                 {"refine", static_cast<double>(o.refine_epochs)},
                 {"held-out windows", static_cast<double>(o.held_out)},
                 {"adaptive damping", o.adaptive_damping ? 1.0 : 0.0},
                 {"all of a block at once", o.true_sequential ? 0.0 : 1.0}};
    for (const auto& option : asked)
        if (option.value > 0)
            fail(Status::invalid_argument, "%s: 0 expected with bits 16, which round nothing, found %g", option.name,
                 option.value);
}

}  // namespace

void check_options(const QuantizeOptions& o) {
    check_target(o);
    check_keeping(o);
    if (!has_target(o)) check_width("bits", o.bits);
    if (o.target_bytes == 0 || o.embed_bits != chosen_bits) check_width("embed bits", o.embed_bits);
    check_codes(o);
    if (!has_target(o) || o.grid != chosen_grid) check_grid(o.grid);
    check_solver_options(o.solver);
    if (o.bits == float_bits) check_floats(o);
    if (o.adaptive_damping && o.held_out == 0)
        fail(Status::invalid_argument, "adaptive damping: expected held-out windows to choose by, found none");
    if (!is_group(o.group) && !(has_target(o) && o.group == chosen_group))
        fail(Status::invalid_argument, "group: expected %s, found %zu", group_words, o.group);
    if (o.distill_epochs + o.refine_epochs > 0) check_training(o);
    if (o.distill_epochs > 0 && !o.codes.empty() && find_codes(o.codes)->nearest)
        fail(Status::invalid_argument, "distillation: expected evenly spaced codes to train, found '%s'",
             o.codes.c_str());
    if (o.windows == 0 || o.window < 2)
        fail(Status::invalid_argument, "calibration: expected at least 1 window of 2 tokens, found %zu of %zu",
             o.windows, o.window);
}

std::optional<Verdict> quantize_model(const std::filesystem::path& source, const std::filesystem::path& output,
                                      const QuantizeOptions& options, const Compute& compute,
                                      const QuantizeCallback& progress) {
    check_options(options);
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(source);
    refuse_losses(output, *checkpoint, options);
    GqWriter writer(output);
    std::optional<OutputFile> report;
    if (!options.report.empty()) report.emplace(options.report);
    Walk walk(*checkpoint, options, compute, writer, progress);
    walk.run();
    if (report) write_report(*report, walk.elapsed(), output, walk.provenance(), options.report);
    return walk.verdict();
}

}  // namespace gq
