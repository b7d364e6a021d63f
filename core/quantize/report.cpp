// The provenance as JSON. See report.h.
// In: options, hashes, what the solver says of each tensor. Out: text.
// Must not know files or how anything was computed.
#include "core/quantize/report.h"

#include <cstdio>

#include "core/base/version.h"
#include "core/quantize/solver_options.h"

namespace gq {
namespace {

constexpr double largest_check_error = 1e-3;  // of the loss; rounding errors stay below a tenth of it

std::string hex(uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

void add_solver_options(const GptqOptions& o, JsonValue& json) {
    json.set("order", JsonValue::of_string(name_of(o.order)));
    json.set("grid_search", JsonValue::of_string(name_of(o.search)));
    json.set("damping", JsonValue::of_number(o.damping));
    json.set("qep", JsonValue::of_number(o.qep));
    json.set("gptaq", JsonValue::of_number(o.gptaq));
    json.set("foem", JsonValue::of_number(o.foem));
    json.set("sweeps", JsonValue::of_integer(static_cast<int64_t>(o.sweeps)));
    json.set("refit", JsonValue::of_bool(o.refit));
}

JsonValue options_json(const QuantizeOptions& o) {
    JsonValue json;
    const auto size = [&](const char* key, size_t value) {
        json.set(key, JsonValue::of_integer(static_cast<int64_t>(value)));
    };
    json.set("method", JsonValue::of_string(o.method == Method::gptq ? "gptq" : "rtn"));
    if (!o.recipe.empty()) json.set("recipe", JsonValue::of_string(o.recipe));
    if (o.target_bytes > 0) size("target_bytes", o.target_bytes);
    if (o.target_bpw > 0) json.set("target_bpw", JsonValue::of_number(o.target_bpw));
    if (!o.codes.empty())
        json.set("codes", JsonValue::of_string(o.codes));
    else if (o.bits != chosen_bits)
        size("bits", o.bits);
    if (o.keep_blocks) json.set("keep_blocks", JsonValue::of_bool(true));
    if (o.keep_outer) json.set("keep_outer", JsonValue::of_bool(true));
    if (o.group != chosen_group) size("group", o.group);
    if (o.grid != chosen_grid) json.set("grid", JsonValue::of_string(o.grid));
    if (o.method == Method::gptq) add_solver_options(o.solver, json);
    if (!o.true_sequential) json.set("true_sequential", JsonValue::of_bool(false));
    json.set("rotate", JsonValue::of_bool(o.rotate));
    if (o.distill_epochs > 0) size("distill_epochs", o.distill_epochs);
    if (o.refine_epochs > 0) size("refine_epochs", o.refine_epochs);
    if (o.embed_bits != chosen_bits) size("embed_bits", o.embed_bits);
    if (o.lorc_rank > 0) {
        size("lorc", o.lorc_rank);
        json.set("lorc_method", JsonValue::of_string(o.lorc_method == LorcMethod::eora ? "eora" : "lorc"));
    }
    size("windows", o.windows);
    size("window", o.window);
    if (o.held_out > 0) size("held_out", o.held_out);
    if (o.judged > 0) size("judged", o.judged);
    if (o.adaptive_damping) json.set("adaptive_damping", JsonValue::of_bool(true));
    return json;
}

JsonValue lorc_json(const TensorReport& t) {
    JsonValue json;
    json.set("rank", JsonValue::of_integer(static_cast<int64_t>(t.lorc.rank)));
    json.set("method", JsonValue::of_string(t.lorc.by_outputs ? "eora" : "lorc"));
    json.set("error", JsonValue::of_number(t.lorc.error));
    if (t.solved)
        json.set("loss", JsonValue::of_number(t.lorc.loss_left * t.solve.true_loss / static_cast<double>(t.rows)));
    return json;
}

// Losses are per token and output: mean squared error of the layer's outputs.
JsonValue tensor_json(const TensorReport& t) {
    JsonValue json;
    json.set("name", JsonValue::of_string(t.name));
    json.set("codes", JsonValue::of_string(t.codes));
    json.set("shape", JsonValue::of_array({JsonValue::of_integer(static_cast<int64_t>(t.rows)),
                                           JsonValue::of_integer(static_cast<int64_t>(t.cols))}));
    if (!t.kept.empty()) json.set("kept", JsonValue::of_string(t.kept));
    if (!t.grid.empty()) {
        json.set("grid", JsonValue::of_string(t.grid));
        json.set("group", JsonValue::of_integer(static_cast<int64_t>(t.group)));
    }
    if (t.expected_kl) json.set("expected_kl", JsonValue::of_number(*t.expected_kl));
    if (t.error) json.set("error", JsonValue::of_number(*t.error));
    if (t.lorc.rank > 0) json.set("lorc", lorc_json(t));
    if (!t.solved) return json;
    const double rows = static_cast<double>(t.rows);
    json.set("loss", JsonValue::of_number(t.solve.true_loss / rows));
    json.set("rtn_loss", JsonValue::of_number(t.solve.rtn_loss / rows));
    json.set("predicted_loss", JsonValue::of_number(t.solve.loss / rows));
    json.set("check_error", JsonValue::of_number(t.solve.check_error));
    json.set("damping", JsonValue::of_number(t.solve.damping));
    if (t.solve.held_out) {
        json.set("held_out_loss", JsonValue::of_number(t.solve.held_out_loss / rows));
        json.set("held_out_rtn_loss", JsonValue::of_number(t.solve.held_out_rtn_loss / rows));
    }
    if (t.solve.damping_retries > 0)
        json.set("damping_retries", JsonValue::of_integer(static_cast<int64_t>(t.solve.damping_retries)));
    if (t.solve.dead_columns > 0)
        json.set("dead_inputs", JsonValue::of_integer(static_cast<int64_t>(t.solve.dead_columns)));
    if (!t.note.empty()) json.set("note", JsonValue::of_string(t.note));
    return json;
}

JsonValue provenance(const QuantizeOptions& options, const RunReport& run) {
    JsonValue json, source;
    json.set("tool", JsonValue::of_string(std::string("gq ") + version_text));
    source.set("name", JsonValue::of_string(run.source_name));
    source.set("kind", JsonValue::of_string(run.source_kind));
    source.set("architecture", JsonValue::of_string(run.architecture));
    source.set("xxh64", JsonValue::of_string(hex(run.source_hash)));
    json.set("source", std::move(source));
    json.set("options", options_json(options));
    if (!run.calibration_name.empty()) {
        JsonValue calibration;
        calibration.set("name", JsonValue::of_string(run.calibration_name));
        calibration.set("xxh64", JsonValue::of_string(hex(run.calibration_hash)));
        json.set("calibration", std::move(calibration));
    }
    if (!run.note.empty()) json.set("note", JsonValue::of_string(run.note));
    if (run.refinement) {
        JsonValue refinement;
        refinement.set("kl_before", JsonValue::of_number(run.refinement->kl_before));
        refinement.set("kl_after", JsonValue::of_number(run.refinement->kl_after));
        refinement.set("kept_epoch", JsonValue::of_integer(static_cast<int64_t>(run.refinement->kept_epoch)));
        json.set("refinement", std::move(refinement));
    }
    if (run.verdict) {
        JsonValue verdict;
        verdict.set("kl", JsonValue::of_number(run.verdict->kl));
        verdict.set("ppl", JsonValue::of_number(run.verdict->ppl));
        verdict.set("float_ppl", JsonValue::of_number(run.verdict->float_ppl));
        verdict.set("tokens", JsonValue::of_integer(static_cast<int64_t>(run.verdict->tokens)));
        verdict.set("windows_xxh64", JsonValue::of_string(hex(run.judged_hash)));
        json.set("verdict", std::move(verdict));
    }
    JsonValue::Array tensors;
    for (const TensorReport& t : run.tensors) tensors.push_back(tensor_json(t));
    json.set("tensors", JsonValue::of_array(std::move(tensors)));
    return json;
}

}  // namespace

std::string provenance_json(const QuantizeOptions& options, const RunReport& run) {
    return provenance(options, run).dump();
}

std::string note_of(const SolveReport& solve) {
    std::string note;
    const auto add = [&](const std::string& text) { note += (note.empty() ? "" : "; ") + text; };
    if (solve.fell_back_to_rtn) add("rounded to nearest: " + solve.reason);
    if (solve.kept_rtn) add("rounded to nearest where that loses less on held-out windows");
    if (solve.check_error > largest_check_error)
        add("the self-check of the loss is off by " + std::to_string(solve.check_error));
    if (solve.damping_retries > 0) add("damping raised " + std::to_string(solve.damping_retries) + " times");
    if (solve.dead_columns > 0) add(std::to_string(solve.dead_columns) + " dead inputs");
    return note;
}

}  // namespace gq
