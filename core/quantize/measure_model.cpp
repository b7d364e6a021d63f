// What each matrix matters, for people and as JSON. See quantize.h.
// In: a checkpoint, options. Out: a line a matrix, the classes of ZeroQuant-V2 (arXiv 2303.08302) by role, a file where
// one is asked for. Must not know how effects are measured: sensitivity.h does.
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
#include "core/quantize/quantize.h"
#include "core/quantize/sensitivity.h"
#include "formats/json.h"
#include "formats/output_file.h"

namespace gq {
namespace {

constexpr unsigned widths[] = {2, 3, 4, 8};
constexpr double class_one = 0.1, class_two = 0.5;  // mean change of perplexity at most: ZeroQuant-V2's classes

double ppl_change(const SensitivityTable& table, const Divergence& effect) {
    return std::exp(table.float_loss) * std::expm1(effect.loss);
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
    json.set("ppl_change", JsonValue::of_number(ppl_change(table, e.effect)));
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

// Means over the layers of one role at one width.
struct ClassMean {
    double ppl_change = 0, kl = 0;
    size_t n = 0;

    const char* zeroquant_class() const {
        return ppl_change <= class_one ? "I" : ppl_change <= class_two ? "II" : "III";
    }
};
using ClassMeans = std::map<std::pair<std::string, unsigned>, ClassMean>;

ClassMeans classes_of(const SensitivityTable& table) {
    ClassMeans means;
    for (const std::vector<Sensitivity>* rows : {&table.outer, &table.linears})
        for (const Sensitivity& row : *rows)
            for (const WidthEffect& e : row.effects) {
                ClassMean& mean = means[{row.class_name, e.grid.bits}];
                mean.ppl_change += ppl_change(table, e.effect);
                mean.kl += e.effect.kl;
                ++mean.n;
            }
    for (auto& [key, mean] : means) {
        mean.ppl_change /= static_cast<double>(mean.n);
        mean.kl /= static_cast<double>(mean.n);
    }
    return means;
}

JsonValue table_json(const SensitivityTable& table, const ClassMeans& classes) {
    JsonValue json;
    json.set("tokens", JsonValue::of_integer(static_cast<int64_t>(table.tokens)));
    json.set("float_ppl", JsonValue::of_number(std::exp(table.float_loss)));
    JsonValue::Array rows, means;
    for (const Sensitivity& row : table.outer) rows.push_back(row_json(table, row, false));
    for (const Sensitivity& row : table.linears) rows.push_back(row_json(table, row, true));
    for (const auto& [key, mean] : classes) {
        JsonValue entry;
        entry.set("class", JsonValue::of_string(key.first));
        entry.set("bits", JsonValue::of_integer(key.second));
        entry.set("ppl_change", JsonValue::of_number(mean.ppl_change));
        entry.set("kl", JsonValue::of_number(mean.kl));
        entry.set("zeroquant_v2", JsonValue::of_string(mean.zeroquant_class()));
        means.push_back(std::move(entry));
    }
    json.set("classes", JsonValue::of_array(std::move(means)));
    json.set("tensors", JsonValue::of_array(std::move(rows)));
    return json;
}

std::vector<std::string> class_lines(const ClassMeans& classes) {
    std::vector<std::string> lines;
    for (const auto& [key, mean] : classes) {
        char line[160];
        std::snprintf(line, sizeof line, "%-12s %u bits  mean change of perplexity %8.3f  mean KL %.5f  class %s",
                      key.first.c_str(), key.second, mean.ppl_change, mean.kl, mean.zeroquant_class());
        lines.emplace_back(line);
    }
    return lines;
}

}  // namespace

void measure_model(const std::filesystem::path& source, const QuantizeOptions& options, const Compute& compute,
                   const QuantizeCallback& progress) {
    check_options(options);
    const auto start = std::chrono::steady_clock::now();
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(source);
    refuse_replacing("output", options.report, *checkpoint, options);
    std::optional<OutputFile> file;
    if (!options.report.empty()) file.emplace(options.report);
    const SourceModel model(*checkpoint);
    const RotatedSource rotated(model, compute, options.rotate);
    const Tokenizer tokenizer = Tokenizer::from_checkpoint(*checkpoint);
    const auto tell = [&](const std::string& tensor, size_t n_done, size_t n_total, const std::string& note) {
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
        if (progress &&
            progress({.tensor = tensor, .n_done = n_done, .n_total = n_total, .seconds = spent.count(), .note = note}))
            fail(Status::cancelled, "measuring was cancelled after %zu of %zu tensors", n_done, n_total);
    };
    const CalibrationText text =
        calibration_text(options, *checkpoint, model, tokenizer, compute, [&] { tell("", 0, 0, ""); });
    const auto windows = cut_windows(tokenizer, text.text, options.windows, options.window, model.params().vocab);
    const FloatModel floats(model, rotated, compute);
    size_t n = 0;
    const SensitivityTable table = measure_sensitivity(floats, rotated, windows, compute, request_of(options),
                                                       [&](const Sensitivity& row, size_t n_done, size_t n_total) {
                                                           tell(row.name, n_done, n = n_total, line_of(row));
                                                       });
    const ClassMeans classes = classes_of(table);
    for (const std::string& line : class_lines(classes)) tell("", n, n, line);
    if (!file) return;
    const std::string json = table_json(table, classes).dump(1) + "\n";
    file->write(std::as_bytes(std::span(json)), 0);
    file->commit();
}

}  // namespace gq
