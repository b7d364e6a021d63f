// Post-processors: which special tokens stand before and behind the ids of a text.
// In: JSON. Out: two lists of ids.
// Must not know texts.
#include "core/text/pipeline.h"

namespace gq {

namespace {

constexpr const char* what = "tokenizer post_processor";

TokenId id_of(const JsonValue& json) {
    const int64_t id = json.as_integer("tokenizer post_processor id");
    if (id < 0 || id > INT32_MAX) {
        format_fail(FormatError::Kind::malformed, "%s: a token id expected, %lld found", what,
                    static_cast<long long>(id));
    }
    return static_cast<TokenId>(id);
}

void append_special(const JsonValue& tokens, const std::string& name, std::vector<TokenId>& out) {
    const JsonValue* token = tokens.find(name);
    if (token == nullptr) {
        format_fail(FormatError::Kind::malformed, "%s: special token \"%.60s\" is used, but not among special_tokens",
                    what, name.c_str());
    }
    for (const JsonValue& id : token->at("ids", what).as_array(what)) out.push_back(id_of(id));
}

// The template for one text: special tokens, the sequence A once, special tokens.
PostProcessor template_processing(const JsonValue& json) {
    PostProcessor out;
    bool text_seen = false;
    for (const JsonValue& item : json.at("single", what).as_array(what)) {
        if (const JsonValue* special = item.find("SpecialToken")) {
            append_special(json.at("special_tokens", what), special->at("id", what).as_string(what),
                           text_seen ? out.after : out.before);
            continue;
        }
        const std::string& sequence = item.at("Sequence", what).at("id", what).as_string(what);
        if (sequence != "A" || text_seen) {
            format_fail(FormatError::Kind::unsupported,
                        "%s: the sequence A once expected in \"single\", another \"%.20s\" found", what,
                        sequence.c_str());
        }
        text_seen = true;
    }
    if (!text_seen) format_fail(FormatError::Kind::unsupported, "%s: the sequence A expected in \"single\"", what);
    return out;
}

// ByteLevel changes offsets, which nobody asks for here.
PostProcessor byte_level(const JsonValue&) {
    return {};
}

PostProcessor sequence(const JsonValue& json) {
    PostProcessor out;
    for (const PostProcessor& part : parse_sequence(json, "processors", parse_post_processor)) {
        out.before.insert(out.before.begin(), part.before.begin(), part.before.end());
        out.after.insert(out.after.end(), part.after.begin(), part.after.end());
    }
    return out;
}

constexpr PartType<PostProcessor> types[] = {
    {"TemplateProcessing", template_processing}, {"ByteLevel", byte_level}, {"Sequence", sequence}};

}  // namespace

PostProcessor parse_post_processor(const JsonValue& json) {
    if (json.is_null()) return {};
    return parse_part(json, what, types);
}

bool has_template(const JsonValue& post_processor) {
    const JsonValue* type = post_processor.find("type");
    if (type != nullptr && type->is_string() && type->as_string(what) == "TemplateProcessing") return true;
    const JsonValue* parts = post_processor.find("processors");
    if (parts == nullptr || !parts->is_array()) return false;
    for (const JsonValue& part : parts->as_array(what)) {
        if (has_template(part)) return true;
    }
    return false;
}

}  // namespace gq
