// Opens a .gq and its sections. See loaded_model.h.
#include "core/runtime/loaded_model.h"

#include <algorithm>

#include "core/base/status.h"

namespace gq {
namespace {

std::string_view text_of(const GqSection& section) {
    return {reinterpret_cast<const char*>(section.bytes.data()), section.bytes.size()};
}

const GqSection& need_section(const GqFile& file, const char* name) {
    const GqSection* section = file.section(name);
    if (!section) fail(Status::bad_file, "section '%s' expected, not found", name);
    return *section;
}

// One row per sampling setting that a model may bring.
struct Setting {
    const char* key;
    void (*read)(SamplerOptions&, double);
    double (*write)(const SamplerOptions&);
};
constexpr Setting settings[] = {
    {"temperature", [](SamplerOptions& o, double v) { o.temperature = static_cast<float>(v); },
     [](const SamplerOptions& o) { return static_cast<double>(o.temperature); }},
    {"top_k", [](SamplerOptions& o, double v) { o.top_k = static_cast<int>(v); },
     [](const SamplerOptions& o) { return static_cast<double>(o.top_k); }},
    {"top_p", [](SamplerOptions& o, double v) { o.top_p = static_cast<float>(v); },
     [](const SamplerOptions& o) { return static_cast<double>(o.top_p); }},
    {"min_p", [](SamplerOptions& o, double v) { o.min_p = static_cast<float>(v); },
     [](const SamplerOptions& o) { return static_cast<double>(o.min_p); }},
    {"repetition_penalty", [](SamplerOptions& o, double v) { o.repetition_penalty = static_cast<float>(v); },
     [](const SamplerOptions& o) { return static_cast<double>(o.repetition_penalty); }},
};

void add_stop(std::vector<int32_t>& ids, int64_t id, const Tokenizer& tokenizer) {
    if (id < 0 || static_cast<size_t>(id) >= tokenizer.vocab_size())
        return;  // checkpoints list ids of other vocabularies
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(static_cast<int32_t>(id));
}

void add_stops(std::vector<int32_t>& ids, const JsonValue* value, const Tokenizer& tokenizer) {
    if (!value || value->is_null()) return;
    if (!value->is_array()) return add_stop(ids, value->as_integer("eos_token_id"), tokenizer);
    for (const JsonValue& id : value->as_array("eos_token_id")) add_stop(ids, id.as_integer("eos_token_id"), tokenizer);
}

void read_settings(SamplerOptions& options, const JsonValue& object) {
    for (const Setting& s : settings)
        if (const JsonValue* value = object.find(s.key); value && value->is_number())
            s.read(options, value->as_number(s.key));
}

}  // namespace

std::string GenerationSettings::to_json() const {
    JsonValue json;
    JsonValue::Array ids;
    for (const int32_t id : stop_ids) ids.push_back(JsonValue::of_integer(id));
    json.set("stop_ids", JsonValue::of_array(std::move(ids)));
    const SamplerOptions usual;
    for (const Setting& s : settings)
        if (s.write(sampler) != s.write(usual)) json.set(s.key, JsonValue::of_number(s.write(sampler)));
    return json.dump();
}

GenerationSettings GenerationSettings::from_json(std::string_view json, const std::string& where) {
    const JsonValue object = parse_json(json, where);
    GenerationSettings result;
    for (const JsonValue& id : object.at("stop_ids", where.c_str()).as_array("stop_ids"))
        result.stop_ids.push_back(static_cast<int32_t>(id.as_integer("stop_ids")));
    read_settings(result.sampler, object);
    Sampler check(result.sampler);  // refuses settings out of range
    return result;
}

GenerationSettings GenerationSettings::from_checkpoint(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
    const JsonValue& metadata = checkpoint.metadata();
    GenerationSettings result;
    if (checkpoint.kind() == Checkpoint::Kind::gguf) {
        for (const char* key :
             {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
            add_stops(result.stop_ids, metadata.find(key), tokenizer);
    } else {
        for (const char* file : {"generation_config", "config"}) {
            const JsonValue* object = metadata.find(file);
            if (!object) continue;
            add_stops(result.stop_ids, object->find("eos_token_id"), tokenizer);
        }
        if (const JsonValue* object = metadata.find("generation_config")) read_settings(result.sampler, *object);
    }
    if (tokenizer.eos() >= 0) add_stop(result.stop_ids, tokenizer.eos(), tokenizer);
    return result;
}

std::unique_ptr<LoadedModel> LoadedModel::open(const std::filesystem::path& path, bool verify) {
    GqFile file(path);
    if (verify) file.verify();
    const GqSection& tokenizer = need_section(file, "tokenizer");
    const GqSection* chat = file.section("chat_template");
    const GqSection* generation = file.section("generation");
    Model model = bind_packed(file);
    auto loaded = std::unique_ptr<LoadedModel>(new LoadedModel{
        .file = std::move(file),
        .model = std::move(model),
        .tokenizer = Tokenizer::from_bytes(tokenizer.bytes),
        .chat_template = chat ? std::optional<ChatTemplate>(ChatTemplate(text_of(*chat))) : std::nullopt,
        .generation = generation ? GenerationSettings::from_json(text_of(*generation), "section 'generation'")
                                 : GenerationSettings{},
    });
    if (loaded->tokenizer.vocab_size() > loaded->model.params.vocab)
        fail(Status::bad_file, "tokenizer: at most %zu tokens expected (rows of the embedding), found %zu",
             loaded->model.params.vocab, loaded->tokenizer.vocab_size());
    return loaded;
}

uint64_t LoadedModel::n_weights() const {
    uint64_t total = 0;
    for (const GqTensor& tensor : file.tensors()) total += tensor.rows * tensor.cols * tensor.experts;
    return total;
}

uint64_t LoadedModel::streamed_bytes() const {
    uint64_t total = 0;
    const std::string embedding = packed_name(model.arch->embedding, 0);
    for (const GqTensor& tensor : file.tensors()) {
        if (tensor.name == embedding && !model.params.tied_head) continue;  // a lookup reads one row
        for (const GqPart& part : tensor.parts) total += part.bytes.size();
    }
    return total;
}

}  // namespace gq
