// The page. See report_html.h.
// In: JSON. Out: HTML. Must not know files or how anything was computed.
#include "core/quantize/report_html.h"

#include <algorithm>
#include <map>

#include "core/quantize/html.h"
#include "core/quantize/report_charts.h"
#include "core/quantize/report_data.h"
#include "core/quantize/report_style.h"

namespace gq {
namespace {

// What ./perplexity --json tells, in the order of the page.
struct FigureRow {
    const char *key, *error_key;  // error_key: "" where there is none
    const char* name;
    double scale = 1;
    const char* unit = "";
};
constexpr FigureRow figure_rows[] = {
    {"ppl", "ppl_error", "perplexity"},
    {"reference_ppl", "reference_ppl_error", "perplexity of the float model"},
    {"ln_ppl_ratio", "ln_ppl_ratio_error", "ln of their ratio"},
    {"kl_mean", "kl_error", "KL from the float model, mean"},
    {"kl_median", "", "KL, median"},
    {"kl_90", "", "KL, 90 %"},
    {"kl_99", "", "KL, 99 %"},
    {"kl_max", "", "KL, maximum"},
    {"same_top", "same_top_error", "same most likely token", 100, " %"},
    {"acc_norm", "acc_norm_error", "questions answered, by ln p per byte", 100, " %"},
    {"acc", "acc_error", "questions answered, by ln p", 100, " %"},
    {"questions", "", "questions"},
    {"positions", "", "positions scored"},
};

const JsonValue& member(const JsonValue& json, const char* key) {
    static const JsonValue none;
    const JsonValue* value = json.find(key);
    return value ? *value : none;
}

std::string section(const std::string& title, const std::string& content) {
    return content.empty() ? "" : "<section>\n" + element("h2", escaped(title)) + "\n" + content + "</section>\n";
}

std::string table(const std::string& head, const std::string& rows, const char* kind) {
    return "<div class=\"scroll\">\n<table class=\"" + std::string(kind) + "\">\n" +
           (head.empty() ? "" : "<thead><tr>" + head + "</tr></thead>\n") + "<tbody>\n" + rows +
           "</tbody>\n</table>\n</div>\n";
}

std::string row(const std::string& name, const std::string& cells, const char* kind = "") {
    return element("tr", "<th scope=\"row\">" + escaped(name) + "</th>" + cells, kind) + "\n";
}

std::string heads(std::initializer_list<const char*> names) {
    std::string out;
    for (const char* name : names) {
        const bool words = *name == '<';  // a column of words
        out += element("th", escaped(words ? name + 1 : name), words ? "w" : "");
    }
    return out;
}

std::string title_of(const JsonValue& report) {
    const std::string name = known_text(member(report, "source"), "name");
    return name.empty() ? "gq: quantized model" : "gq: " + name;
}

std::string subtitle_of(const JsonValue& report) {
    const JsonValue &source = member(report, "source"), &options = member(report, "options");
    std::string text;
    const auto add = [&](const std::string& words) {
        if (!words.empty()) text += (text.empty() ? "" : " · ") + words;
    };
    add(known_text(source, "architecture"));
    add("from " + (source.is_object() ? known_text(source, "kind") : "an unknown source"));
    if (options.find("keep_blocks")) add("blocks as the source holds them, others by");
    add(known_text(options, "method"));
    if (const auto bits = known_number(options, "bits")) add(figure(bits) + " bits");
    add(known_text(report, "tool"));
    return text;
}

// How many tensors were solved with which damping.
std::string dampings(const ReportData& data) {
    std::map<double, size_t> counts;
    for (const TensorData& t : data.tensors)
        if (t.damping) ++counts[*t.damping];
    std::string text;
    for (const auto& [damping, n] : counts)
        text +=
            (text.empty() ? "" : ", ") + figure(damping) + " of the Hessian's mean diagonal for " + std::to_string(n);
    return text.empty() ? "" : element("p", escaped("Damping: " + text + " of the linears.")) + "\n";
}

std::string tile(const std::string& value, const std::string& name) {
    return element("div", element("b", escaped(value)) + element("span", escaped(name)), "tile") + "\n";
}

std::string tiles(const ReportData& data, const JsonValue& figures) {
    std::string out = tile(bytes_text(data.file_bytes), "the whole file");
    if (data.linears.n_tensors > 0) out += tile(figure(data.linears.bits()), "bits of a weight in the linears");
    if (const auto error = data.linears.mean_error()) out += tile(figure(error), "mean error of the linears");
    if (const auto ratio = data.linears.of_rounding()) out += tile(figure(ratio), "loss ÷ plain rounding's");
    const auto ppl = known_number(figures, "ppl"), kl = known_number(figures, "kl_mean");  // else the quantizer's own
    const auto reference = ppl ? known_number(figures, "reference_ppl") : data.float_ppl;
    if (ppl || data.ppl)
        out += tile(figure(ppl ? ppl : data.ppl, 4),
                    reference ? "perplexity; float " + figure(reference, 4) : "perplexity");
    if (kl || data.kl) out += tile(figure(kl ? kl : data.kl), "mean KL from the float model");
    if (const auto acc = known_number(figures, "acc_norm")) out += tile(percent_text(*acc), "questions answered");
    return element("div", "\n" + out, "tiles") + "\n";
}

std::string figures_table(const JsonValue& figures) {
    std::string rows;
    for (const FigureRow& f : figure_rows) {
        const auto value = known_number(figures, f.key);
        if (!value) continue;
        const auto error = known_number(figures, f.error_key);
        rows += row(f.name, number_cell(figure(*value * f.scale, 5) + f.unit) +
                                number_cell(error ? "± " + figure(*error * f.scale, 2) + f.unit : ""));
    }
    return rows.empty() ? "" : table("", rows, "plain");
}

std::string role_row(const Summary& s, const std::string& name, double file_bytes, const char* kind) {
    const double bytes = s.size.tensors();
    return row(
        name,
        number_cell(std::to_string(s.n_tensors)) + number_cell(count_text(s.weights)) + number_cell(figure(s.bits())) +
            number_cell(bytes_text(bytes)) + number_cell(file_bytes > 0 ? percent_text(bytes / file_bytes) : "–") +
            number_cell(figure(s.mean_error())) + number_cell(figure(s.of_rounding())) +
            number_cell(figure(s.of_predicted())) + number_cell(std::to_string(s.damping_retries)) + text_cell(s.mix()),
        kind);
}

std::string roles_table(const ReportData& data) {
    std::string rows;
    for (const Summary& role : data.roles) rows += role_row(role, role.role, data.file_bytes, "");
    if (data.linears.n_tensors > 0) rows += role_row(data.linears, "all linears", data.file_bytes, "sum");
    if (rows.empty()) return "";
    return table(heads({"role", "tensors", "weights", "bits", "size", "of file", "mean error", "loss ÷ rounding",
                        "solved ÷ predicted", "damping raised", "<codes and grid"}),
                 rows, "small");
}

// One line a leaf of the report, but for what has its own place on the page.
void add_settings(std::string& rows, const std::string& prefix, const JsonValue& json) {
    for (const auto& [key, value] : json.as_object("")) {
        if (prefix.empty() && (key == "tensors" || key == "sections" || key == "file_bytes" || key == "figures"))
            continue;
        if (value.is_object()) {
            add_settings(rows, prefix + key + ".", value);
        } else {
            rows += row(prefix + key, text_cell(value.is_string() ? value.as_string("") : value.dump()));
        }
    }
}

std::string settings_table(const JsonValue& report) {
    std::string rows;
    if (report.is_object()) add_settings(rows, "", report);
    return rows.empty() ? "" : table("", rows, "plain small");
}

std::string tensor_row(const TensorData& t) {
    const auto share = [](std::optional<double> loss, std::optional<double> of) {
        return figure(loss && of && *of > 0 ? std::optional(*loss / *of) : std::nullopt);
    };
    const double bytes = t.size.tensors();
    std::string note = t.note;
    if (t.lorc_rank > 0) note = "rank " + std::to_string(t.lorc_rank) + (note.empty() ? "" : "; ") + note;
    if (!t.kept.empty()) note = "the source's " + t.kept + (note.empty() ? "" : "; ") + note;
    const std::string form = note.empty() ? t.form() : t.form() + "; " + note;
    return row(t.name,
               number_cell(figure(t.rows) + " × " + figure(t.cols)) +
                   number_cell(figure(t.weights() > 0 ? std::optional(8 * bytes / t.weights()) : std::nullopt)) +
                   number_cell(bytes_text(bytes)) + number_cell(figure(t.error)) + number_cell(figure(t.loss)) +
                   number_cell(share(t.loss, t.rtn_loss)) + number_cell(share(t.solver_loss, t.predicted_loss)) +
                   number_cell(figure(t.damping)) + text_cell(form));
}

std::string tensors_table(const ReportData& data) {
    std::string rows;
    for (const TensorData& t : data.tensors) rows += tensor_row(t);
    if (rows.empty()) return "";
    return table(heads({"tensor", "outputs × inputs", "bits", "size", "error", "loss", "loss ÷ rounding",
                        "solved ÷ predicted", "damping", "<codes, grid, notes"}),
                 rows, "small");
}

}  // namespace

std::string report_page(const JsonValue& report) {
    const ReportData data = report_data(report);
    const JsonValue& figures = member(report, "figures");
    const std::string title = escaped(title_of(report)), note = known_text(report, "note");
    std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n" +
                      std::string("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n") +
                      element("title", title) + "\n" + element("style", report_style) + "\n</head>\n<body>\n" +
                      element("h1", title) + "\n" + element("p", escaped(subtitle_of(report)), "soft") + "\n";
    if (!note.empty()) out += element("p", escaped(note), "note") + "\n";
    for (const std::string& sentence : {data.refinement, data.verdict})
        if (!sentence.empty()) out += element("p", escaped(sentence), "note") + "\n";
    out += tiles(data, figures);
    out += section("Measured", figures_table(figures));
    out += section("Layer × linear",
                   form_map(data) + dampings(data) + error_map(data) + loss_map(data) + rounding_map(data));
    out += section("Over the layers", loss_chart(data));
    out += section("Size", size_chart(data));
    out += section("By role", roles_table(data));
    out += section("How it was made", settings_table(report));
    out += section("Every tensor", tensors_table(data));
    return out + "</body>\n</html>\n";
}

bool has_figures(const JsonValue& figures) {
    return std::any_of(std::begin(figure_rows), std::end(figure_rows),
                       [&](const FigureRow& f) { return known_number(figures, f.key).has_value(); });
}

}  // namespace gq
