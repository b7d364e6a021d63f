// Checks hyper-parameters and carries them as JSON. See hyper_params.h.
// In: sizes and constants that somebody read. Out: the same, known to be possible; a .gq's section 'model', and back.
// Must not know architectures or the keys of other formats.
#include "core/model/hyper_params.h"

#include <cmath>
#include <limits>

#include "core/base/status.h"
#include "core/model/config_reader.h"

namespace gq {
namespace {

// One row per whole-number field: its key in the .gq, and the range that a network can have at all.
struct SizeField {
    const char* key;
    size_t HyperParams::*field;
    size_t least, most;
};
constexpr SizeField size_fields[] = {
    {"vocab", &HyperParams::vocab, 1, size_t{1} << 24},
    {"hidden", &HyperParams::hidden, 1, size_t{1} << 20},
    {"ffn", &HyperParams::ffn, 1, size_t{1} << 24},
    {"n_layers", &HyperParams::n_layers, 1, 4096},
    {"n_heads", &HyperParams::n_heads, 1, 4096},
    {"n_kv_heads", &HyperParams::n_kv_heads, 1, 4096},
    {"head_dim", &HyperParams::head_dim, 2, 4096},
    {"context", &HyperParams::context, 1, size_t{1} << 30},
    {"sliding_window", &HyperParams::sliding_window, 0, size_t{1} << 30},
};

// Beyond float's range: an infinity, for check() to refuse; the cast alone would be undefined.
float float_of(double value) {
    constexpr double largest = std::numeric_limits<float>::max();
    return std::abs(value) <= largest ? static_cast<float>(value) : std::numeric_limits<float>::infinity();
}

}  // namespace

void HyperParams::check_sizes() const {
    for (const SizeField& f : size_fields) {
        const size_t value = this->*f.field;
        if (value < f.least || value > f.most)
            fail(Status::bad_file, "model: %s expected in %zu … %zu, found %zu", f.key, f.least, f.most, value);
    }
    if (n_heads % n_kv_heads != 0)
        fail(Status::bad_file, "model: n_heads %zu is no multiple of n_kv_heads %zu", n_heads, n_kv_heads);
    if (head_dim % 2 != 0) fail(Status::bad_file, "model: head_dim expected even, found %zu", head_dim);
}

void HyperParams::check() const {
    check_sizes();
    if (!(norm_eps >= 0 && norm_eps < 1))
        fail(Status::bad_file, "model: norm_eps expected in [0, 1), found %g", norm_eps);
    if (!rope_inv_freq.empty() && rope_inv_freq.size() != head_dim / 2)
        fail(Status::bad_file, "model: rope_inv_freq: none or %zu values expected, %zu found", head_dim / 2,
             rope_inv_freq.size());
    for (const float f : rope_inv_freq)
        if (!(std::fabs(f) <= 1e6f))
            fail(Status::bad_file, "model: rope_inv_freq: finite values expected, found %g", static_cast<double>(f));
}

std::string HyperParams::to_json() const {
    JsonValue json;
    json.set("arch", JsonValue::of_string(arch));
    for (const SizeField& f : size_fields) json.set(f.key, JsonValue::of_integer(static_cast<int64_t>(this->*f.field)));
    json.set("norm_eps", JsonValue::of_number(norm_eps));
    json.set("tied_head", JsonValue::of_bool(tied_head));
    if (head_turn) json.set("head_turn", JsonValue::of_bool(true));
    JsonValue::Array freq;
    for (const float f : rope_inv_freq) freq.push_back(JsonValue::of_number(static_cast<double>(f)));
    json.set("rope_inv_freq", JsonValue::of_array(std::move(freq)));
    return json.dump();
}

HyperParams HyperParams::from_json(std::string_view json, const std::string& where) {
    const JsonValue object = parse_json(json, where);
    const ConfigReader config(object, where);
    HyperParams p;
    p.arch = config.text("arch", "");
    for (const SizeField& f : size_fields) p.*f.field = config.size(f.key);
    p.norm_eps = config.number("norm_eps");
    p.tied_head = config.flag("tied_head", false);
    p.head_turn = config.flag("head_turn", false);
    for (const JsonValue& f : object.at("rope_inv_freq", where.c_str()).as_array("rope_inv_freq"))
        p.rope_inv_freq.push_back(float_of(f.as_number("rope_inv_freq")));
    p.check();
    return p;
}

}  // namespace gq
