// The part of a TokenizerSpec that tokenizer.json and the compact form write alike: options of the model, added tokens,
// pipeline. In: JSON ↔ TokenizerSpec.
// Must not know vocabularies' forms, nor what the parts of the pipeline mean.
#include <algorithm>

#include "core/text/tokenizer_spec.h"
#include "formats/format_error.h"

namespace gq {

namespace {

struct AddedFlag {
    const char* name;
    bool AddedToken::*flag;
};
constexpr AddedFlag added_flags[] = {{"single_word", &AddedToken::single_word},
                                     {"lstrip", &AddedToken::lstrip},
                                     {"rstrip", &AddedToken::rstrip},
                                     {"normalized", &AddedToken::normalized},
                                     {"special", &AddedToken::special}};

struct ModelFlag {
    const char* name;
    bool TokenizerSpec::*flag;
};
constexpr ModelFlag model_flags[] = {{"byte_fallback", &TokenizerSpec::byte_fallback},
                                     {"fuse_unk", &TokenizerSpec::fuse_unk},
                                     {"ignore_merges", &TokenizerSpec::ignore_merges}};

struct PipelinePart {
    const char* name;
    JsonValue TokenizerSpec::*json;
};
constexpr PipelinePart pipeline_parts[] = {{"normalizer", &TokenizerSpec::normalizer},
                                           {"pre_tokenizer", &TokenizerSpec::pre_tokenizer},
                                           {"post_processor", &TokenizerSpec::post_processor},
                                           {"decoder", &TokenizerSpec::decoder}};

template <typename Object, typename Flag>
void read_flag(const JsonValue& json, const Flag& row, Object& object) {
    if (const JsonValue* value = json.find(row.name); value != nullptr && !value->is_null()) {
        object.*row.flag = value->as_bool(row.name);
    }
}

// What a model may ask for that changes ids and is not done here must be absent, null, zero or empty.
void refuse_option(const JsonValue& model, const char* name) {
    const JsonValue* value = model.find(name);
    const bool off = value == nullptr || value->is_null() || (value->is_string() && value->as_string(name).empty()) ||
                     (value->is_number() && value->as_number(name) == 0);
    if (!off) {
        format_fail(FormatError::Kind::unsupported, "tokenizer model: the option %s = %s is not supported", name,
                    value->dump().substr(0, 60).c_str());
    }
}

void read_model(const JsonValue& model, TokenizerSpec& spec) {
    if (const JsonValue* type = model.find("type"); type != nullptr && type->as_string("model type") != "BPE") {
        format_fail(FormatError::Kind::unsupported, "tokenizer model of type \"%.60s\" is not supported; known: BPE",
                    type->as_string("model type").c_str());
    }
    for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) refuse_option(model, name);
    for (const ModelFlag& row : model_flags) read_flag(model, row, spec);
    if (const JsonValue* unk = model.find("unk_token"); unk != nullptr && !unk->is_null()) {
        spec.unk_token = unk->as_string("unk_token");
    }
}

// A text that the vocabulary knows keeps the vocabulary's id.
AddedToken read_added_token(const JsonValue& json, const Vocabulary& vocabulary) {
    AddedToken token;
    token.content = json.at("content", "tokenizer added token").as_string("content of an added token");
    token.id = read_token_id(json.at("id", "tokenizer added token"), "id of an added token");
    const TokenId known = vocabulary.find(token.content);
    if (known >= 0 && vocabulary.text(token.id) != token.content) token.id = known;
    if (token.id < 0 || token.content.size() > Vocabulary::max_token_bytes) {
        format_fail(FormatError::Kind::malformed,
                    "tokenizer added token \"%.60s\": an id and at most %zu bytes expected", token.content.c_str(),
                    Vocabulary::max_token_bytes);
    }
    for (const AddedFlag& row : added_flags) read_flag(json, row, token);
    return token;
}

JsonValue added_token_json(const AddedToken& token) {
    JsonValue out;
    out.set("id", JsonValue::of_integer(token.id));
    out.set("content", JsonValue::of_string(token.content));
    for (const AddedFlag& row : added_flags) {
        if (token.*row.flag) out.set(row.name, JsonValue::of_bool(true));
    }
    return out;
}

JsonValue template_item(const char* kind, const std::string& id) {
    JsonValue name, out;
    name.set("id", JsonValue::of_string(id));
    name.set("type_id", JsonValue::of_integer(0));
    out.set(kind, std::move(name));
    return out;
}

}  // namespace

void read_settings(const JsonValue& settings, TokenizerSpec& spec) {
    if (const JsonValue* model = settings.find("model")) read_model(*model, spec);
    if (const JsonValue* added = settings.find("added_tokens"); added != nullptr && !added->is_null()) {
        for (const JsonValue& token : added->as_array("added_tokens")) {
            spec.added_tokens.push_back(read_added_token(token, spec.vocabulary));
        }
    }
    for (const PipelinePart& part : pipeline_parts) {
        if (const JsonValue* json = settings.find(part.name)) spec.*part.json = *json;
    }
    if (const JsonValue* bos = settings.find("bos_token_id")) spec.bos = read_token_id(*bos, "bos_token_id");
    if (const JsonValue* eos = settings.find("eos_token_id")) spec.eos = read_token_id(*eos, "eos_token_id");
}

JsonValue settings_of(const TokenizerSpec& spec) {
    JsonValue model, out;
    for (const ModelFlag& row : model_flags) model.set(row.name, JsonValue::of_bool(spec.*row.flag));
    if (!spec.unk_token.empty()) model.set("unk_token", JsonValue::of_string(spec.unk_token));
    out.set("model", std::move(model));
    JsonValue added = JsonValue::of_array({});
    for (const AddedToken& token : spec.added_tokens) added.push(added_token_json(token));
    out.set("added_tokens", std::move(added));
    for (const PipelinePart& part : pipeline_parts) out.set(part.name, spec.*part.json);
    if (spec.bos >= 0) out.set("bos_token_id", JsonValue::of_integer(spec.bos));
    if (spec.eos >= 0) out.set("eos_token_id", JsonValue::of_integer(spec.eos));
    return out;
}

TokenId find_token(const TokenizerSpec& spec, std::string_view text) {
    const auto& added = spec.added_tokens;
    const auto found = std::find_if(added.begin(), added.end(), [&](const AddedToken& t) { return t.content == text; });
    return found != added.end() ? found->id : spec.vocabulary.find(text);
}

TokenId read_token_id(const JsonValue& json, const char* what) {
    if (json.is_null()) return -1;
    const int64_t id = json.as_integer(what);
    if (id < 0 || static_cast<uint64_t>(id) >= Vocabulary::max_tokens) {
        format_fail(FormatError::Kind::malformed, "tokenizer %s: a number from 0 to %zu expected, %lld found", what,
                    Vocabulary::max_tokens - 1, static_cast<long long>(id));
    }
    return static_cast<TokenId>(id);
}

JsonValue template_processor(TokenId bos, TokenId eos) {
    JsonValue single, special, out;
    const auto add = [&](const char* name, TokenId id) {
        if (id < 0) return;
        JsonValue ids, entry;
        ids.push(JsonValue::of_integer(id));
        entry.set("ids", std::move(ids));
        special.set(name, std::move(entry));
        single.push(template_item("SpecialToken", name));
    };
    add("bos", bos);
    single.push(template_item("Sequence", "A"));
    add("eos", eos);
    out.set("type", JsonValue::of_string("TemplateProcessing"));
    out.set("single", std::move(single));
    out.set("special_tokens", special.is_null() ? JsonValue::of_object({}) : std::move(special));
    return out;
}

}  // namespace gq
