// Pictures of a report. See report_charts.h.
// In: figures. Out: HTML and SVG. Must not know the page around them.
#include "core/quantize/report_charts.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_map>

#include "core/quantize/html.h"

namespace gq {
namespace {

constexpr double chart_width = 920, label_width = 84, cell_height = 22;

struct Cell {
    std::string colour;  // class; "" where there is nothing to show
    std::string words;   // for whoever points at it
    std::string label = {};
};
using CellOf = std::function<Cell(const TensorData&)>;

std::string open_svg(double width, double height, const std::string& title) {
    return "<svg viewBox=\"0 0 " + pixels(width) + " " + pixels(height) + "\" width=\"" + pixels(width) +
           "\" role=\"img\"><title>" + escaped(title) + "</title>\n";
}

std::string rectangle(double x, double y, double width, double height, const std::string& kind,
                      const std::string& words) {
    return "<rect x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" width=\"" + pixels(width) + "\" height=\"" +
           pixels(height) + "\" rx=\"2\" class=\"" + kind + "\"><title>" + escaped(words) + "</title></rect>\n";
}

std::string label(double x, double y, const char* kind, std::string_view text) {
    return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" class=\"" + kind + "\">" + escaped(text) +
           "</text>\n";
}

std::string key(const std::string& colour, const std::string& words) {
    return "<span class=\"key\"><i class=\"" + colour + "\"></i>" + escaped(words) + "</span>\n";
}

std::string figure_of(const std::string& title, const std::string& svg, const std::string& keys,
                      const std::string& explanation) {
    return "<figure>\n<figcaption>" + element("h3", escaped(title)) + element("p", escaped(explanation)) +
           "</figcaption>\n" + svg + element("p", keys, "keys") + "\n</figure>\n";
}

// Layers that occur, in order, and the column of each; names may give any number to a layer.
std::map<size_t, size_t> columns_of(const ReportData& data) {
    std::map<size_t, size_t> columns;
    for (const TensorData& t : data.tensors)
        if (t.is_linear()) columns.emplace(*t.layer, 0);
    size_t column = 0;
    for (auto& [layer, at] : columns) at = column++;
    return columns;
}

// At most about 20 labels, at round numbers.
size_t label_step(size_t n) {
    size_t step = 1;
    for (const size_t next : {2, 5, 10, 20, 50, 100, 1000, 10000, 100000})
        if (n / step > 20) step = next;
    return step;
}

// Rows are linears, columns are layers.
class HeatMap {
  public:
    explicit HeatMap(const ReportData& data) : data_(data), columns_(columns_of(data)) {
        for (const TensorData& t : data.tensors)
            if (t.is_linear()) rows_.emplace(t.role, rows_.size());
        const double n = static_cast<double>(std::max<size_t>(columns_.size(), 1));
        step_ = std::clamp((chart_width - label_width) / n, 2.0, 30.0);
    }

    // "" where no cell has a colour.
    std::string svg(const std::string& title, const CellOf& cell_of) const {
        std::string cells;
        for (const TensorData& t : data_.tensors)
            if (t.is_linear()) cells += cell(t, cell_of(t));
        if (cells.empty()) return "";
        const double height = cell_height * static_cast<double>(rows_.size()) + 18;
        return open_svg(label_width + step_ * static_cast<double>(columns_.size()), height, title) + axes() + cells +
               "</svg>\n";
    }

  private:
    std::string cell(const TensorData& t, const Cell& c) const {
        if (c.colour.empty()) return "";
        const double gap = step_ >= 8 ? 2 : 0.3;
        const double x = label_width + step_ * static_cast<double>(columns_.at(*t.layer));
        const double y = cell_height * static_cast<double>(rows_.at(t.role));
        std::string out = rectangle(x, y, step_ - gap, cell_height - 2, c.colour, t.name + ": " + c.words);
        if (!c.label.empty() && step_ >= 14)
            out += label(x + (step_ - gap) / 2, y + 14, ("on " + c.colour).c_str(), c.label);
        return out;
    }
    std::string axes() const {
        std::string out;
        for (const auto& [role, row] : rows_)
            out += label(label_width - 8, cell_height * static_cast<double>(row) + 15, "right", role);
        const double y = cell_height * static_cast<double>(rows_.size()) + 14;
        for (const auto& [layer, column] : columns_)
            if (column % label_step(columns_.size()) == 0)
                out += label(label_width + step_ * (static_cast<double>(column) + 0.5) - 1, y, "middle",
                             std::to_string(layer));
        return out + label(label_width - 8, y, "right", "layer");
    }

    const ReportData& data_;
    const std::map<size_t, size_t> columns_;
    std::unordered_map<std::string, size_t> rows_;
    double step_ = 0;
};

// Nine classes, equally wide in the logarithm; at least a factor of 2 from end to end, so that noise stays pale.
class LogScale {
  public:
    explicit LogScale(const std::vector<double>& values) {
        for (const double value : values) {
            if (!(value > 0)) continue;
            low_ = low_ > 0 ? std::min(low_, value) : value;
            high_ = std::max(high_, value);
        }
        const double short_of = low_ > 0 ? 2 / (high_ / low_) : 1;
        if (short_of > 1) {
            low_ /= std::sqrt(short_of);
            high_ *= std::sqrt(short_of);
        }
    }
    std::string colour(double value) const {
        if (!(value > 0)) return "s0";
        const double at = (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_));
        return "s" + std::to_string(std::clamp(static_cast<int>(at * n), 0, n - 1));
    }
    std::string keys() const {
        std::string out = escaped(figure(low_, 2)) + " <span class=\"ramp\">";
        for (int i = 0; i < n; ++i) out += "<i class=\"s" + std::to_string(i) + "\"></i>";
        return out + "</span> " + escaped(figure(high_, 2));
    }

  private:
    static constexpr int n = 9;
    double low_ = 0, high_ = 0;
};

std::string log_map(const ReportData& data, const std::string& title, const std::string& explanation,
                    std::optional<double> TensorData::*value) {
    std::vector<double> values;
    for (const TensorData& t : data.tensors)
        if (t.is_linear() && t.*value) values.push_back(*(t.*value));
    if (values.empty()) return "";
    const LogScale scale(values);
    bool marked = false;
    const std::string svg = HeatMap(data).svg(title, [&](const TensorData& t) -> Cell {
        if (!(t.*value)) return {};
        const bool noted = !t.note.empty();
        marked |= noted;
        return {scale.colour(*(t.*value)), figure(t.*value) + (noted ? "; " + t.note : ""), noted ? "!" : ""};
    });
    return figure_of(title, svg, scale.keys(), explanation + (marked ? " ! has a note, in the table of tensors." : ""));
}

// Better than rounding in one colour, worse in another, and what makes no difference between them.
struct RatioClass {
    double below;
    const char *colour, *words;
};
constexpr RatioClass ratio_classes[] = {
    {0.05, "d0", "below 0.05"}, {0.1, "d1", "0.1"},   {0.2, "d2", "0.2"}, {0.4, "d3", "0.4"},       {0.7, "d4", "0.7"},
    {0.98, "d5", "0.98"},       {1.02, "d6", "1.02"}, {1.5, "d7", "1.5"}, {HUGE_VAL, "d8", "more"},
};

const char* ratio_colour(double ratio) {
    for (const RatioClass& c : ratio_classes)
        if (ratio < c.below) return c.colour;
    return std::rbegin(ratio_classes)->colour;
}

// The forms of all linears, those with fewer bits first.
std::map<std::string, std::string> form_colours(const ReportData& data) {
    std::map<std::pair<double, std::string>, std::string> by_bits;
    for (const TensorData& t : data.tensors)
        if (t.is_linear() && t.weights() > 0)
            by_bits.emplace(std::pair(std::atof(t.short_codes().c_str()), t.form()), t.form());
    std::map<std::string, std::string> colours;
    size_t i = 0;
    for (const auto& [bits, form] : by_bits) {
        const size_t shade = by_bits.size() < 2 ? 4 : 1 + i++ * 7 / (by_bits.size() - 1);
        colours.emplace(form, "s" + std::to_string(shade));
    }
    return colours;
}

struct LayerLoss {
    double loss = 0, rounding = 0;
};

std::map<size_t, LayerLoss> layer_losses(const ReportData& data) {
    std::map<size_t, LayerLoss> layers;
    for (const TensorData& t : data.tensors) {
        if (!t.is_linear() || !t.loss || !t.rtn_loss) continue;
        layers[*t.layer].loss += *t.loss * t.rows;
        layers[*t.layer].rounding += *t.rtn_loss * t.rows;
    }
    return layers;
}

// A logarithmic axis upwards, with room for the largest and the smallest value.
class LossAxis {
  public:
    static constexpr double height = 200;

    explicit LossAxis(const std::map<size_t, LayerLoss>& layers) {
        low_ = HUGE_VAL;
        for (const auto& [layer, l] : layers) {
            for (const double value : {l.loss, l.rounding}) {
                if (!(value > 0)) continue;
                low_ = std::min(low_, value);
                high_ = std::max(high_, value);
            }
        }
        low_ /= 1.3;
        high_ *= 1.3;
    }
    bool is_empty() const { return !(high_ > 0); }
    double y(double value) const {
        const double up =
            (std::log(std::clamp(value, low_, high_)) - std::log(low_)) / (std::log(high_) - std::log(low_));
        return 10 + height * (1 - up);
    }
    // Lines at 1, 2 and 5 where there are few decades, at some of the decades where there are many.
    std::string svg() const {
        std::string out;
        const int first = static_cast<int>(std::floor(std::log10(low_))), last = static_cast<int>(std::log10(high_));
        const int step = 1 + (last - first) / 8;
        for (int decade = first; decade <= last; decade += step)
            for (const double digit : {1, 2, 5})
                if (digit == 1 || last - first < 3) out += line(digit * std::pow(10, decade));
        return out;
    }

  private:
    std::string line(double value) const {
        if (value < low_ || value > high_) return "";
        const std::string at = pixels(y(value));
        return "<line x1=\"" + pixels(label_width) + "\" x2=\"" + pixels(chart_width) + "\" y1=\"" + at + "\" y2=\"" +
               at + "\" class=\"grid\"/>\n" + label(label_width - 8, y(value) + 4, "right", figure(value));
    }

    double low_ = 0, high_ = 0;
};

std::string series(const std::map<size_t, LayerLoss>& layers, const LossAxis& axis, double LayerLoss::*value,
                   const std::string& kind, const std::string& name) {
    std::string line, dots;
    const double step = (chart_width - label_width) / static_cast<double>(layers.size());
    double x = label_width + step / 2;
    for (const auto& [layer, losses] : layers) {
        const std::string px = pixels(x), py = pixels(axis.y(losses.*value));
        line += (line.empty() ? "M" : "L") + px + " " + py;
        dots += "<circle cx=\"" + px + "\" cy=\"" + py + "\" r=\"3\" class=\"" + kind + "\"><title>" +
                escaped("layer " + std::to_string(layer) + ", " + name + ": " + figure(losses.*value)) +
                "</title></circle>\n";
        x += step;
    }
    return "<path d=\"" + line + "\" class=\"line " + kind + "\"/>\n" + dots;
}

std::string layer_labels(const std::map<size_t, LayerLoss>& layers) {
    std::string out;
    const double step = (chart_width - label_width) / static_cast<double>(layers.size());
    size_t i = 0;
    for (const auto& [layer, losses] : layers) {
        if (i % label_step(layers.size()) == 0)
            out += label(label_width + step * (static_cast<double>(i) + 0.5), LossAxis::height + 28, "middle",
                         std::to_string(layer));
        ++i;
    }
    return out + label(label_width - 8, LossAxis::height + 28, "right", "layer");
}

}  // namespace

std::string error_map(const ReportData& data) {
    return log_map(data, "Error of the weights",
                   "|Q − W|² ÷ |W|² of each linear, corrections of low rank included; stronger is more, by the "
                   "logarithm.",
                   &TensorData::error);
}

std::string loss_map(const ReportData& data) {
    return log_map(data, "Loss at the outputs",
                   "Mean squared error that rounding adds to an output, per calibration token, by the logarithm.",
                   &TensorData::loss);
}

std::string rounding_map(const ReportData& data) {
    const std::string svg = HeatMap(data).svg("Loss against plain rounding", [](const TensorData& t) -> Cell {
        if (!t.loss || !t.rtn_loss || !(*t.rtn_loss > 0)) return {};
        const double ratio = *t.loss / *t.rtn_loss;
        return {ratio_colour(ratio), figure(ratio) + " of " + figure(t.rtn_loss)};
    });
    if (svg.empty()) return "";
    std::string keys;
    for (const RatioClass& c : ratio_classes) keys += key(c.colour, c.words);
    return figure_of(
        "Loss against plain rounding", svg, keys,
        "The loss reached, as a share of what rounding to nearest on the same grid would cost: below 1 the "
        "solver gained.");
}

std::string form_map(const ReportData& data) {
    const auto colours = form_colours(data);
    if (colours.empty()) return "";
    if (colours.size() == 1)
        return element("p", escaped("All linears are stored as " + colours.begin()->first + ".")) + "\n";
    const std::string svg = HeatMap(data).svg("Codes and grids", [&](const TensorData& t) -> Cell {
        if (!(t.weights() > 0)) return {};
        return {colours.at(t.form()), t.form(), t.short_codes()};
    });
    std::string keys;
    const std::map<std::string, size_t> counts(data.linears.forms.begin(), data.linears.forms.end());
    for (const auto& [form, colour] : colours) keys += key(colour, form + ": " + std::to_string(counts.at(form)));
    return figure_of("Codes and grids", svg, keys, "How each linear is stored.");
}

std::string loss_chart(const ReportData& data) {
    const auto layers = layer_losses(data);
    const LossAxis axis(layers);
    if (axis.is_empty()) return "";
    const std::string svg = open_svg(chart_width, LossAxis::height + 34, "Loss by layer") + axis.svg() +
                            series(layers, axis, &LayerLoss::rounding, "rounding", "plain rounding") +
                            series(layers, axis, &LayerLoss::loss, "reached", "reached") + layer_labels(layers) +
                            "</svg>\n";
    return figure_of("Loss by layer", svg, key("reached", "reached") + key("rounding", "plain rounding"),
                     "Squared error per calibration token, over all outputs of a layer's linears.");
}

std::string size_chart(const ReportData& data) {
    const SizeParts& s = data.size;
    const std::pair<const char*, double> parts[] = {{"codes", s.codes},
                                                    {"scales", s.scales},
                                                    {"zero points", s.zeros},
                                                    {"corrections of low rank", s.corrections},
                                                    {"floats", s.floats},
                                                    {"tokenizer", s.tokenizer},
                                                    {"other: directory, metadata, alignment", s.other}};
    const double total = s.tensors() + s.tokenizer + s.other;
    if (!(total > 0)) return "";
    std::string bar, keys;
    double x = 0;
    for (size_t i = 0; i < std::size(parts); ++i) {
        const auto& [name, bytes] = parts[i];
        if (!(bytes > 0)) continue;
        const std::string colour = "p" + std::to_string(i), words = name + (": " + bytes_text(bytes));
        const double width = chart_width * bytes / total;
        bar += rectangle(x, 0, std::max(width - 2, 0.8), 26, colour, words);
        keys += key(colour, words + ", " + percent_text(bytes / total));
        x += width;
    }
    return figure_of("What the bytes are for", open_svg(chart_width, 26, "What the bytes are for") + bar + "</svg>\n",
                     keys, bytes_text(total) + " in all.");
}

}  // namespace gq
