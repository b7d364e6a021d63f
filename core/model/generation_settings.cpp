// Sampling options by name and range, read from and written to JSON. See generation_settings.h.
// In: generation_config.json, config.json, GGUF metadata, or a .gq's section. Out: settings within their ranges.
// Must not know what sampling does with them.
#include "core/model/generation_settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/base/status.h"

namespace gq {
namespace {

// One row per option that files may bring: its key, what values it may have, and its field. A value is held against its
// range as a double, before it becomes a float or an integer that might not hold it.
struct Setting {
    const char* key;
    const char* range;
    bool (*allows)(double);
    double (*get)(const SamplerOptions&);
    void (*set)(SamplerOptions&, double);
};

template <auto field>
constexpr Setting setting(const char* key, const char* range, bool (*allows)(double)) {
    return {key, range, allows, [](const SamplerOptions& o) { return static_cast<double>(o.*field); },
            [](SamplerOptions& o, double value) {
                o.*field = static_cast<std::remove_reference_t<decltype(o.*field)>>(value);
            }};
}

constexpr double max_int = std::numeric_limits<int32_t>::max();
constexpr const char* count_range = "a whole number of 0 … 2147483647";

bool is_count(double v) {
    return v >= 0 && v <= max_int && v == std::trunc(v);
}

constexpr Setting settings[] = {
    setting<&SamplerOptions::temperature>("temperature", "0 … 100", [](double v) { return v >= 0 && v <= 100; }),
    setting<&SamplerOptions::top_k>("top_k", count_range, is_count),
    setting<&SamplerOptions::top_p>("top_p", "above 0, at most 1", [](double v) { return v > 0 && v <= 1; }),
    setting<&SamplerOptions::min_p>("min_p", "0 … 1", [](double v) { return v >= 0 && v <= 1; }),
    setting<&SamplerOptions::repetition_penalty>("repetition_penalty", "above 0, at most 100",
                                                 [](double v) { return v > 0 && v <= 100; }),
    setting<&SamplerOptions::repetition_window>("repetition_window", count_range, is_count),
};

void read_settings(SamplerOptions& options, const JsonValue& object, const std::string& where) {
    for (const Setting& s : settings) {
        const JsonValue* value = object.find(s.key);
        if (!value || value->is_null()) continue;
        const std::string what = where + ": " + s.key;
        const double number = value->as_number(what.c_str());
        if (s.allows(number)) s.set(options, number);
        // What rounds to a float outside the range (a top_p of 1e-300) is as bad as what stood outside it.
        if (!s.allows(number) || !s.allows(s.get(options)))
            fail(Status::bad_file, "%s: expected %s, found %g", what.c_str(), s.range, number);
    }
}

void add_stop(std::vector<int32_t>& ids, int64_t id, const Tokenizer& tokenizer) {
    if (id < 0 || static_cast<uint64_t>(id) >= tokenizer.vocab_size())
        return;  // checkpoints list ids of other vocabularies
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(static_cast<int32_t>(id));
}

// what: where the ids stand.
void add_stops(std::vector<int32_t>& ids, const JsonValue* value, const Tokenizer& tokenizer, const std::string& what) {
    if (!value || value->is_null()) return;
    if (!value->is_array()) return add_stop(ids, value->as_integer(what.c_str()), tokenizer);
    for (const JsonValue& id : value->as_array(what.c_str())) add_stop(ids, id.as_integer(what.c_str()), tokenizer);
}

}  // namespace

void SamplerOptions::check() const {
    for (const Setting& s : settings)
        if (!s.allows(s.get(*this)))
            fail(Status::invalid_argument, "%s: expected %s, found %g", s.key, s.range, s.get(*this));
}

std::string GenerationSettings::to_json() const {
    JsonValue json;
    JsonValue::Array ids;
    for (const int32_t id : stop_ids) ids.push_back(JsonValue::of_integer(id));
    json.set("stop_ids", JsonValue::of_array(std::move(ids)));
    const SamplerOptions usual;
    for (const Setting& s : settings)
        if (s.get(sampler) != s.get(usual)) json.set(s.key, JsonValue::of_number(s.get(sampler)));
    return json.dump();
}

GenerationSettings GenerationSettings::from_json(std::string_view json, const std::string& where) {
    const JsonValue object = parse_json(json, where);
    GenerationSettings result;
    const std::string what = where + ": stop_ids";
    for (const JsonValue& element : object.at("stop_ids", where.c_str()).as_array(what.c_str())) {
        const int64_t id = element.as_integer(what.c_str());
        if (id < 0 || id > std::numeric_limits<int32_t>::max())
            fail(Status::bad_file, "%s: expected ids of 0 … %d, found %lld", what.c_str(),
                 std::numeric_limits<int32_t>::max(), static_cast<long long>(id));
        result.stop_ids.push_back(static_cast<int32_t>(id));
    }
    read_settings(result.sampler, object, where);
    return result;
}

GenerationSettings GenerationSettings::from_checkpoint(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
    const JsonValue& metadata = checkpoint.metadata();
    GenerationSettings result;
    if (checkpoint.kind() == Checkpoint::Kind::gguf) {
        for (const char* key :
             {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
            add_stops(result.stop_ids, metadata.find(key), tokenizer, std::string("GGUF metadata: ") + key);
    } else {
        for (const char* file : {"generation_config", "config"})
            if (const JsonValue* object = metadata.find(file))
                add_stops(result.stop_ids, object->find("eos_token_id"), tokenizer,
                          std::string(file) + ".json: eos_token_id");
        if (const JsonValue* object = metadata.find("generation_config"))
            read_settings(result.sampler, *object, "generation_config.json");
    }
    if (tokenizer.eos() >= 0) add_stop(result.stop_ids, tokenizer.eos(), tokenizer);
    return result;
}

}  // namespace gq
