// What each matrix matters, for people and as JSON. See quantize.h.
// In: a checkpoint, options. Out: a line a matrix, then means by layer and by role with the classes of ZeroQuant-V2
// (arXiv 2303.08302), and a file where one is asked for. Must not know how effects are measured: sensitivity.h does.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "core/base/status.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/calibration_source.h"
#include "core/quantize/outer_rounding.h"
#include "core/quantize/recipe.h"
#include "core/quantize/sensitivity.h"
#include "formats/json.h"
#include "formats/output_file.h"

namespace gq {
namespace {

constexpr unsigned widths[] = {2, 3, 4, 8};
constexpr double class_one = 0.1, class_two = 0.5;  // change of perplexity at most: ZeroQuant-V2's classes

// Of a loss that is so much more than the float model's.
double ppl_change(const SensitivityTable& table, double loss) {
    return std::exp(table.float_loss) * std::expm1(loss);
}

SensitivityRequest request_of(const QuantizeOptions& options) {
    SensitivityRequest request{.effects = {},
                               .choices = {},
                               .outer = {},
                               .solves_head = options.method == Method::gptq,
                               .solver = options.solver};
    const Grid* grid = uniform_grid(options);
    for (const unsigned bits : widths) {
        if (!find_integer_codes(bits)) continue;
        request.effects.push_back({bits, options.group, grid});
        request.choices.push_back(request.effects.back());
        request.outer.push_back({bits, outer_group(options.group), grid});
    }
    return request;
}

std::string line_of(const Sensitivity& row) {
    std::string line;
    char part[128];
    for (size_t i = 0; i < row.effects.size(); ++i) {
        const WidthEffect& e = row.effects[i];
        std::snprintf(part, sizeof part, "%s%u bits", i > 0 ? "  | " : "", e.grid.bits);
        line += part;
        if (i < row.losses.size()) {
            std::snprintf(part, sizeof part, " loss %.2e (%.2e)", row.losses[i].measured, row.losses[i].predicted);
            line += part;
        }
        std::snprintf(part, sizeof part, " KL %.5f", e.effect.kl);
        line += part;
    }
    return line;
}

JsonValue width_json(const SensitivityTable& table, const Sensitivity& row, size_t i) {
    const WidthEffect& e = row.effects[i];
    JsonValue json;
    json.set("bits", JsonValue::of_integer(e.grid.bits));
    json.set("group", JsonValue::of_integer(static_cast<int64_t>(e.grid.group)));
    json.set("grid", JsonValue::of_string(e.grid.grid->name));
    json.set("rounding", JsonValue::of_number(e.rounding));
    if (i < row.losses.size()) {
        json.set("predicted", JsonValue::of_number(row.losses[i].predicted));
        json.set("measured", JsonValue::of_number(row.losses[i].measured));
    }
    json.set("kl", JsonValue::of_number(e.effect.kl));
    json.set("ppl_change", JsonValue::of_number(ppl_change(table, e.effect.loss)));
    return json;
}

JsonValue row_json(const SensitivityTable& table, const Sensitivity& row, bool in_block) {
    JsonValue json;
    json.set("name", JsonValue::of_string(row.name));
    json.set("class", JsonValue::of_string(row.class_name));
    if (in_block) json.set("layer", JsonValue::of_integer(static_cast<int64_t>(row.layer)));
    json.set("shape", JsonValue::of_array({JsonValue::of_integer(static_cast<int64_t>(row.rows)),
                                           JsonValue::of_integer(static_cast<int64_t>(row.cols))}));
    JsonValue::Array found;
    for (size_t i = 0; i < row.effects.size(); ++i) found.push_back(width_json(table, row, i));
    json.set("widths", JsonValue::of_array(std::move(found)));
    return json;
}

// Means over rows at one width: those of a role, or those of a layer.
struct Means {
    double predicted = 0, measured = 0, ppl_change = 0, kl = 0, expected_change = 0;
    size_t n = 0;
    bool has_losses = true;

    // By what the KL leads one to expect. What was measured on some hundred tokens may have either sign.
    const char* zeroquant_class() const {
        return expected_change <= class_one ? "I" : expected_change <= class_two ? "II" : "III";
    }
};
template <class Key>
using MeansBy = std::map<std::pair<Key, unsigned>, Means>;

void add(Means& means, const SensitivityTable& table, const Sensitivity& row, size_t i) {
    const Divergence& effect = row.effects[i].effect;
    means.has_losses &= i < row.losses.size();
    if (i < row.losses.size()) {
        means.predicted += row.losses[i].predicted;
        means.measured += row.losses[i].measured;
    }
    means.ppl_change += ppl_change(table, effect.loss);
    means.expected_change += ppl_change(table, effect.kl);
    means.kl += effect.kl;
    ++means.n;
}

template <class Key, class KeyOf>
MeansBy<Key> means_by(const SensitivityTable& table, std::span<const std::vector<Sensitivity>* const> lists,
                      const KeyOf& key_of) {
    MeansBy<Key> by;
    for (const std::vector<Sensitivity>* rows : lists)
        for (const Sensitivity& row : *rows)
            for (size_t i = 0; i < row.effects.size(); ++i)
                add(by[{key_of(row), row.effects[i].grid.bits}], table, row, i);
    for (auto& [key, means] : by)
        for (double* sum : {&means.predicted, &means.measured, &means.ppl_change, &means.kl, &means.expected_change})
            *sum /= static_cast<double>(means.n);
    return by;
}

struct Summaries {
    MeansBy<std::string> classes;
    MeansBy<size_t> layers;
};

Summaries summaries_of(const SensitivityTable& table) {
    const std::vector<Sensitivity>* all[] = {&table.outer, &table.linears};
    return {means_by<std::string>(table, all, [](const Sensitivity& row) { return row.class_name; }),
            means_by<size_t>(table, std::span(all).last(1), [](const Sensitivity& row) { return row.layer; })};
}

JsonValue means_json(const char* key, JsonValue of, unsigned bits, const Means& means) {
    JsonValue json;
    json.set(key, std::move(of));
    json.set("bits", JsonValue::of_integer(bits));
    if (means.has_losses) {
        json.set("predicted", JsonValue::of_number(means.predicted));
        json.set("measured", JsonValue::of_number(means.measured));
    }
    json.set("kl", JsonValue::of_number(means.kl));
    json.set("ppl_change", JsonValue::of_number(means.ppl_change));
    json.set("expected_ppl_change", JsonValue::of_number(means.expected_change));
    json.set("zeroquant_v2", JsonValue::of_string(means.zeroquant_class()));
    return json;
}

JsonValue table_json(const SensitivityTable& table, const Summaries& summaries) {
    JsonValue json;
    json.set("tokens", JsonValue::of_integer(static_cast<int64_t>(table.tokens)));
    json.set("float_ppl", JsonValue::of_number(std::exp(table.float_loss)));
    JsonValue::Array rows, classes, layers;
    for (const Sensitivity& row : table.outer) rows.push_back(row_json(table, row, false));
    for (const Sensitivity& row : table.linears) rows.push_back(row_json(table, row, true));
    for (const auto& [key, means] : summaries.classes)
        classes.push_back(means_json("class", JsonValue::of_string(key.first), key.second, means));
    for (const auto& [key, means] : summaries.layers)
        layers.push_back(
            means_json("layer", JsonValue::of_integer(static_cast<int64_t>(key.first)), key.second, means));
    json.set("classes", JsonValue::of_array(std::move(classes)));
    json.set("layers", JsonValue::of_array(std::move(layers)));
    json.set("tensors", JsonValue::of_array(std::move(rows)));
    return json;
}

std::string means_line(const std::string& name, unsigned bits, const Means& means) {
    char line[192], loss[64] = "";
    if (means.has_losses) std::snprintf(loss, sizeof loss, "  mean loss %.2e (%.2e)", means.measured, means.predicted);
    std::snprintf(line, sizeof line, "%-12s %u bits%s  mean KL %.5f, perplexity + %.3f  class %s", name.c_str(), bits,
                  loss, means.kl, means.expected_change, means.zeroquant_class());
    return line;
}

std::vector<std::string> summary_lines(const Summaries& summaries) {
    std::vector<std::string> lines;
    for (const auto& [key, means] : summaries.layers)
        lines.push_back(means_line("layer " + std::to_string(key.first), key.second, means));
    for (const auto& [key, means] : summaries.classes) lines.push_back(means_line(key.first, key.second, means));
    return lines;
}

}  // namespace

void measure_model(const std::filesystem::path& source, const QuantizeOptions& asked, const Compute& compute,
                   const QuantizeCallback& progress) {
    check_options(asked);
    const auto start = std::chrono::steady_clock::now();
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(source);
    refuse_replacing("output", asked.report, *checkpoint, asked);
    std::optional<OutputFile> file;
    if (!asked.report.empty()) file.emplace(asked.report);
    const SourceModel model(*checkpoint);
    std::string left_out;
    const QuantizeOptions options = suited_to(model, asked, left_out);
    const RotatedSource rotated(model, compute, options.rotate);
    const Tokenizer tokenizer = Tokenizer::from_checkpoint(*checkpoint);
    const auto tell = [&](const std::string& tensor, size_t n_done, size_t n_total, const std::string& note) {
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
        if (progress &&
            progress({.tensor = tensor, .n_done = n_done, .n_total = n_total, .seconds = spent.count(), .note = note}))
            fail(Status::cancelled, "measuring was cancelled after %zu of %zu tensors", n_done, n_total);
    };
    if (!left_out.empty()) tell("", 0, 0, left_out);
    const CalibrationText text =
        calibration_text(options, *checkpoint, model, tokenizer, compute, [&] { tell("", 0, 0, ""); });
    const auto windows = cut_windows(tokenizer, text.text, options.windows, options.window, model.params().vocab);
    const FloatModel floats(model, rotated, compute);
    size_t n = 0;
    const SensitivityTable table = measure_sensitivity(floats, rotated, windows, compute, request_of(options),
                                                       [&](const Sensitivity& row, size_t n_done, size_t n_total) {
                                                           tell(row.name, n_done, n = n_total, line_of(row));
                                                       });
    const Summaries summaries = summaries_of(table);
    for (const std::string& line : summary_lines(summaries)) tell("", n, n, line);
    if (!file) return;
    const std::string json = table_json(table, summaries).dump(1) + "\n";
    file->write(std::as_bytes(std::span(json)), 0);
    file->commit();
}

}  // namespace gq
