// Reads a report leniently and adds up. See report_data.h.
// In: JSON. Out: figures, and their table as lines. Must not know where the JSON comes from.
#include "core/quantize/report_data.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

namespace gq {
namespace {

const JsonValue::Array& elements(const JsonValue& json, const char* key) {
    static const JsonValue::Array none;
    const JsonValue* value = json.find(key);
    return value && value->is_array() ? value->as_array(key) : none;
}

const JsonValue::Object& members(const JsonValue& json, const char* key) {
    static const JsonValue::Object none;
    const JsonValue* value = json.find(key);
    return value && value->is_object() ? value->as_object(key) : none;
}

double number_or_0(const JsonValue& json, const char* key) {
    return known_number(json, key).value_or(0);
}

size_t count_of(const JsonValue& json, const char* key) {
    constexpr double largest = 1e15;  // a whole number in a double
    return static_cast<size_t>(std::clamp(number_or_0(json, key), 0.0, largest));
}

// "blocks.3.attn_q" → 3, "attn_q".
void split_name(TensorData& tensor) {
    constexpr std::string_view prefix = "blocks.";
    tensor.role = tensor.name;
    if (!tensor.name.starts_with(prefix)) return;
    const char *begin = tensor.name.data() + prefix.size(), *end = tensor.name.data() + tensor.name.size();
    uint32_t layer = 0;
    const auto [after, error] = std::from_chars(begin, end, layer);
    if (error != std::errc() || after + 1 >= end || *after != '.') return;
    tensor.layer = layer;
    tensor.role.assign(after + 1, end);
}

SizeParts sizes_of(const JsonValue& tensor, bool quantized) {
    SizeParts size;
    for (const auto& [part, bytes] : members(tensor, "bytes")) {
        double& sum = part.starts_with("lorc") ? size.corrections
                      : part == "zeros"        ? size.zeros
                      : !quantized             ? size.floats
                      : part == "codes"        ? size.codes
                                               : size.scales;
        sum += known_number(bytes).value_or(0);
    }
    return size;
}

TensorData tensor_of(const JsonValue& json) {
    TensorData tensor;
    tensor.name = known_text(json, "name");
    split_name(tensor);
    tensor.codes = known_text(json, "codes");
    tensor.grid = known_text(json, "grid");
    tensor.note = known_text(json, "note");
    tensor.kept = known_text(json, "kept");
    const JsonValue::Array& shape = elements(json, "shape");
    if (shape.size() == 2) {
        tensor.rows = known_number(shape[0]).value_or(0);
        tensor.cols = known_number(shape[1]).value_or(0);
    }
    tensor.group = number_or_0(json, "group");
    tensor.size = sizes_of(json, !tensor.grid.empty());
    tensor.error = known_number(json, "error");
    tensor.solver_loss = tensor.loss = known_number(json, "loss");
    tensor.rtn_loss = known_number(json, "rtn_loss");
    tensor.predicted_loss = known_number(json, "predicted_loss");
    tensor.damping = known_number(json, "damping");
    tensor.damping_retries = count_of(json, "damping_retries");
    if (const JsonValue* lorc = json.find("lorc")) {
        tensor.lorc_rank = count_of(*lorc, "rank");
        if (const auto left = known_number(*lorc, "error")) tensor.error = left;
        if (const auto left = known_number(*lorc, "loss")) tensor.loss = left;
    }
    return tensor;
}

std::string refinement_of(const JsonValue& report) {
    const JsonValue* json = report.find("refinement");
    const auto before = json ? known_number(*json, "kl_before") : std::nullopt,
               after = json ? known_number(*json, "kl_after") : std::nullopt;
    if (!before || !after) return "";
    return "Refined end to end: KL from the float model on held-out windows " + figure(before) + " before, " +
           figure(after) + " after (epoch " + figure(known_number(*json, "kept_epoch")) +
           " kept). Losses are those before it.";
}

void add_verdict(const JsonValue& report, ReportData& data) {
    const JsonValue* json = report.find("verdict");
    if (!json) return;
    data.kl = known_number(*json, "kl");
    data.ppl = known_number(*json, "ppl");
    data.float_ppl = known_number(*json, "float_ppl");
    if (data.kl && data.ppl && data.float_ppl)
        data.verdict = "On " + figure(known_number(*json, "tokens")) +
                       " tokens that nothing was fitted to: KL from the float model " + figure(data.kl) +
                       ", perplexity " + figure(data.ppl, 4) + " beside " + figure(data.float_ppl, 4) + ".";
}

std::optional<double> ratio(double a, double b) {
    return b > 0 ? std::optional(a / b) : std::nullopt;
}

void count(const std::string& name, size_t n, std::vector<std::pair<std::string, size_t>>& counts) {
    const auto same =
        std::find_if(counts.begin(), counts.end(), [&](const auto& known) { return known.first == name; });
    if (same == counts.end()) {
        counts.emplace_back(name, n);
    } else {
        same->second += n;
    }
}

void add_cell(std::string& line, std::string cell, size_t end) {
    const bool dash = cell == "–";  // three bytes, one column
    const size_t width = dash ? 1 : cell.size();
    const size_t drawn = line.size();
    line.append(end > drawn + width ? end - drawn - width : 1, ' ');
    line += dash ? "-" : cell;
}

void add_row(std::string& out, const std::string& role, const Summary& s) {
    std::string line = role;
    add_cell(line, std::to_string(s.n_tensors), 24);
    add_cell(line, count_text(s.weights), 34);
    add_cell(line, figure(s.bits()), 42);
    add_cell(line, figure(s.mean_error()), 53);
    add_cell(line, figure(s.of_rounding()), 66);
    add_cell(line, figure(s.of_predicted()), 79);
    add_cell(line, std::to_string(s.damping_retries), 90);
    out += line + "   " + s.mix() + "\n";
}

}  // namespace

void SizeParts::add(const SizeParts& more) {
    codes += more.codes;
    scales += more.scales;
    zeros += more.zeros;
    corrections += more.corrections;
    floats += more.floats;
    tokenizer += more.tokenizer;
    other += more.other;
}

std::string TensorData::form() const {
    if (grid.empty()) return codes;
    return codes + " " + grid + (group > 0 ? " g" + figure(group) : " row");
}

std::string TensorData::short_codes() const {
    const size_t digits = codes.find_first_of("0123456789");
    return digits == std::string::npos ? codes : codes.substr(digits);
}

void Summary::add(const TensorData& tensor) {
    ++n_tensors;
    n_notes += !tensor.note.empty();
    damping_retries += tensor.damping_retries;
    weights += tensor.weights();
    size.add(tensor.size);
    if (tensor.error) {
        ++n_errors;
        errors += *tensor.error;
    }
    if (tensor.loss && tensor.rtn_loss) {
        ++n_solved;
        loss += *tensor.loss * tensor.rows;
        rtn_loss += *tensor.rtn_loss * tensor.rows;
    }
    if (tensor.solver_loss && tensor.predicted_loss.value_or(0) > 0) {
        solver_loss += *tensor.solver_loss * tensor.rows;
        predicted_loss += *tensor.predicted_loss * tensor.rows;
    }
    count(tensor.form(), 1, forms);
}

std::string Summary::mix() const {
    constexpr size_t many = 3;
    std::vector<std::pair<std::string, size_t>> codes;
    for (const auto& [form, n] : forms) count(form.substr(0, form.find(' ')), n, codes);
    std::string text;
    for (const auto& [form, n] : forms.size() > many ? codes : forms) {
        if (!text.empty()) text += "; ";
        text += forms.size() > 1 ? std::to_string(n) + " × " + form : form;
    }
    return text;
}

std::optional<double> Summary::mean_error() const {
    return ratio(errors, static_cast<double>(n_errors));
}
std::optional<double> Summary::of_rounding() const {
    return ratio(loss, rtn_loss);
}
std::optional<double> Summary::of_predicted() const {
    return ratio(solver_loss, predicted_loss);
}

ReportData report_data(const JsonValue& report) {
    ReportData data;
    std::unordered_map<std::string, size_t> known;
    for (const JsonValue& json : elements(report, "tensors")) {
        data.tensors.push_back(tensor_of(json));
        const TensorData& tensor = data.tensors.back();
        const auto [at, is_new] = known.emplace(tensor.role, data.roles.size());
        if (is_new) data.roles.push_back({.role = tensor.role});
        data.roles[at->second].add(tensor);
        if (tensor.is_linear()) data.linears.add(tensor);
        data.size.add(tensor.size);
    }
    for (const auto& [section, bytes] : members(report, "sections"))
        if (section == "tokenizer") data.size.tokenizer = known_number(bytes).value_or(0);
    data.file_bytes = number_or_0(report, "file_bytes");
    data.size.other = std::max(0.0, data.file_bytes - data.size.tensors() - data.size.tokenizer);
    data.refinement = refinement_of(report);
    add_verdict(report, data);
    return data;
}

std::string role_table(const ReportData& data) {
    std::string out;
    for (const Summary& role : data.roles)
        if (role.n_errors > 0) add_row(out, role.role, role);
    if (out.empty()) return out;
    if (data.linears.n_errors > 0) add_row(out, "all linears", data.linears);
    std::string title = "role";
    for (const auto& [name, end] : {std::pair{"tensors", 24},
                                    {"weights", 34},
                                    {"bits", 42},
                                    {"error", 53},
                                    {"of rounding", 66},
                                    {"of predicted", 79},
                                    {"dampings", 90}})
        add_cell(title, name, static_cast<size_t>(end));
    out = title + "   codes\n" + out;
    for (const std::string& sentence : {data.refinement, data.verdict})
        if (!sentence.empty()) out += "\n" + sentence + "\n";
    return out;
}

std::string figure(std::optional<double> value, int digits) {
    if (!value || !std::isfinite(*value)) return "–";
    char text[32];
    const bool whole = *value == std::floor(*value) && std::abs(*value) < 1e7;
    const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<int64_t>(*value)).ptr
                           : std::to_chars(text, text + sizeof text, *value, std::chars_format::general, digits).ptr;
    return {text, end};
}

std::string count_text(double n) {
    return n >= 1e6 ? figure(n / 1e6) + " M" : n >= 1e3 ? figure(n / 1e3) + " k" : figure(n);
}

std::optional<double> known_number(const JsonValue& value) {
    constexpr double absurd = 1e60;  // sums and ratios of what is smaller stay finite
    if (!value.is_number()) return std::nullopt;
    const double number = value.as_number("");
    return std::abs(number) < absurd ? std::optional(number) : std::nullopt;
}

std::optional<double> known_number(const JsonValue& json, const char* key) {
    const JsonValue* value = json.find(key);
    return value ? known_number(*value) : std::nullopt;
}

std::string known_text(const JsonValue& json, const char* key) {
    const JsonValue* value = json.find(key);
    return value && value->is_string() ? value->as_string(key) : "";
}

}  // namespace gq
