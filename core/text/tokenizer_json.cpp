// The spec of a Hugging Face folder's tokenizer: tokenizer.json, with BOS and EOS from the files beside it.
// In: Checkpoint::metadata() of a folder. Out: TokenizerSpec.
// Must not know what the parts of the pipeline do.
#include "core/text/pipeline.h"
#include "core/text/tokenizer_spec.h"
#include "formats/format_error.h"

namespace gq {

namespace {

void read_vocabulary(const JsonValue& model, Vocabulary& vocabulary) {
    const JsonValue& json = model.at("vocab", "tokenizer.json model");
    // A list with scores is what Unigram has: read_settings names its type, or is followed by a refusal of the list.
    if (!json.is_object()) return;
    const JsonValue::Object& members = json.as_object("model vocab");
    std::vector<const std::string*> by_id;
    size_t bytes = 0;
    for (const auto& [text, id_json] : members) {
        const TokenId id = read_token_id(id_json, "id in vocab");
        if (id < 0)
            format_fail(FormatError::Kind::malformed, "tokenizer.json: vocab \"%.60s\": an id expected, null found",
                        text.c_str());
        const size_t at = static_cast<size_t>(id);
        if (at >= by_id.size()) by_id.resize(at + 1);
        if (by_id[at] != nullptr) {
            format_fail(FormatError::Kind::malformed, "tokenizer.json: id %zu belongs to both \"%.60s\" and \"%.60s\"",
                        at, by_id[at]->c_str(), text.c_str());
        }
        by_id[at] = &text;
        bytes += text.size();
    }
    vocabulary.reserve(by_id.size(), bytes);
    for (const std::string* text : by_id) vocabulary.add(text == nullptr ? std::string_view() : *text);
}

TokenId find_merge_part(const Vocabulary& vocabulary, std::string_view part, size_t rank) {
    const TokenId id = vocabulary.find(part);
    if (id < 0) {
        format_fail(FormatError::Kind::malformed,
                    "tokenizer.json: merge %zu joins \"%.60s\": a token of vocab expected", rank,
                    std::string(part).c_str());
    }
    return id;
}

// A merge is ["left", "right"] or "left right".
std::pair<std::string_view, std::string_view> merge_parts(const JsonValue& json, size_t rank) {
    if (json.is_array() && json.as_array("merge").size() == 2) {
        const JsonValue::Array& parts = json.as_array("merge");
        return {parts[0].as_string("merge"), parts[1].as_string("merge")};
    }
    if (json.is_string()) {
        const std::string_view text = json.as_string("merge");
        const size_t space = text.find(' ');
        if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
            return {text.substr(0, space), text.substr(space + 1)};
        }
    }
    format_fail(FormatError::Kind::malformed, "tokenizer.json: merge %zu: two tokens expected, %.80s found", rank,
                json.dump().c_str());
}

void read_merges(const JsonValue& model, TokenizerSpec& spec) {
    const JsonValue::Array& merges = model.at("merges", "tokenizer.json model").as_array("model merges");
    spec.merges.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
        const auto [left, right] = merge_parts(merges[rank], rank);
        spec.merges.emplace_back(find_merge_part(spec.vocabulary, left, rank),
                                 find_merge_part(spec.vocabulary, right, rank));
    }
}

// "<s>", {"content": "<s>", …} or null.
TokenId token_named(const JsonValue& json, const TokenizerSpec& spec) {
    const JsonValue* content = json.find("content");
    const JsonValue& name = content != nullptr ? *content : json;
    return name.is_string() ? find_token(spec, name.as_string("special token")) : -1;
}

// The first file that says anything decides, even when it says null: tokenizer_config.json, special_tokens_map.json,
// config.json.
TokenId special_id(const JsonValue& metadata, const std::string& role, const TokenizerSpec& spec) {
    for (const char* file : {"tokenizer_config", "special_tokens_map"}) {
        const JsonValue* json = metadata.find(file);
        const JsonValue* token = json == nullptr ? nullptr : json->find(role + "_token");
        if (token != nullptr) return token_named(*token, spec);
    }
    const JsonValue* config = metadata.find("config");
    const JsonValue* id = config == nullptr ? nullptr : config->find(role + "_token_id");
    if (id != nullptr && id->is_array()) id = id->as_array("ids").empty() ? nullptr : &id->as_array("ids").front();
    return id == nullptr ? -1 : read_token_id(*id, "special token id of config.json");
}

// The id that add_bos_token or add_eos_token of tokenizer_config.json puts around a text, -1 for none.
TokenId id_to_add(const JsonValue& config, const std::string& role, TokenId id) {
    const bool wanted = bool_or(config, ("add_" + role + "_token").c_str(), false);
    if (!wanted || id >= 0) return wanted ? id : -1;
    const JsonValue* named = config.find(role + "_token");
    format_fail(FormatError::Kind::malformed,
                "tokenizer_config.json: add_%s_token is true: a known token expected as %s_token, %.80s found",
                role.c_str(), role.c_str(), named == nullptr ? "none" : named->dump().c_str());
}

}  // namespace

TokenizerSpec spec_from_hugging_face(const JsonValue& metadata) {
    const JsonValue* tokenizer = metadata.find("tokenizer");
    if (tokenizer == nullptr) {
        format_fail(FormatError::Kind::unsupported, "tokenizer.json is expected in the model's folder, none found");
    }
    TokenizerSpec spec;
    const JsonValue& model = tokenizer->at("model", "tokenizer.json");
    read_vocabulary(model, spec.vocabulary);
    read_settings(*tokenizer, spec);
    model.at("vocab", "model").as_object("tokenizer.json: model vocab");  // throws where it is none
    read_merges(model, spec);
    spec.bos = special_id(metadata, "bos", spec);
    spec.eos = special_id(metadata, "eos", spec);
    // Folders written without a template say in tokenizer_config.json whether BOS and EOS are put around a text.
    const JsonValue* config = metadata.find("tokenizer_config");
    if (config != nullptr && !has_template(spec.post_processor)) {
        const TokenId bos = id_to_add(*config, "bos", spec.bos), eos = id_to_add(*config, "eos", spec.eos);
        if (bos >= 0 || eos >= 0) spec.post_processor = template_processor(bos, eos);
    }
    return spec;
}

}  // namespace gq
