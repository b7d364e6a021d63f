// The spec of a GGUF file's tokenizer, in the terms of tokenizer.json: the model "gpt2" is byte-level BPE with a named
// way of cutting words, "llama" is SentencePiece BPE with scores. In: Checkpoint::metadata() of a GGUF file. Out:
// TokenizerSpec. Must not know what the parts of the pipeline do. Source of the keys: the GGUF specification (ggml
// docs/gguf.md); of the patterns: the tokenizer.json of the families named.
#include <algorithm>

#include "core/base/names.h"
#include "core/text/pipeline.h"
#include "core/text/tokenizer_spec.h"
#include "core/text/unicode.h"
#include "formats/format_error.h"

namespace gq {

namespace {

// A way of cutting words that tokenizer.ggml.pre names.
struct PreTokenizerName {
    const char* name;
    const char* normalizer;      // JSON
    const char* pre_tokenizers;  // the members of a Sequence; ByteLevel follows
    bool gpt2_regex;             // ByteLevel cuts with its own pattern
    bool ignore_merges;
    bool adds_bos;  // where the file does not say
};

constexpr const char* no_normalizer = "null";
constexpr const char* nfc = R"({"type":"NFC"})";
constexpr const char* digits = R"({"type":"Digits","individual_digits":true},)";
constexpr const char* digit_runs_of_three =
    R"J({"type":"Split","pattern":{"Regex":"[\\p{P}\\$\\+<=>\\^~\\|]+"},"behavior":"Isolated"},)J"
    R"J({"type":"Split","pattern":{"Regex":"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"},)J"
    R"J("behavior":"Isolated"},)J"
    R"J({"type":"Split","pattern":{"Regex":"\\p{N}+"},"behavior":"Isolated"},)J"
    R"J({"type":"Split","pattern":{"Regex":"[0-9][0-9][0-9]"},"behavior":"Isolated"},)J";
constexpr const char* llama3 =
    R"J({"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|)J"
    R"J( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated"},)J";
constexpr const char* qwen2 =
    R"J({"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|)J"
    R"J( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated"},)J";

constexpr PreTokenizerName pre_tokenizer_names[] = {
    {"default", no_normalizer, digit_runs_of_three, false, false, false},
    {"gpt-2", no_normalizer, "", true, false, false},
    {"llama-bpe", no_normalizer, llama3, false, true, true},
    {"llama3", no_normalizer, llama3, false, true, true},
    {"smollm", no_normalizer, digits, true, false, false},
    {"starcoder", no_normalizer, digits, true, false, false},
    {"qwen2", nfc, qwen2, false, false, false},
};

enum class TokenType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

const PreTokenizerName& find_pre_tokenizer(const std::string& name) {
    for (const PreTokenizerName& row : pre_tokenizer_names)
        if (name == row.name) return row;
    const std::string known = join_names(pre_tokenizer_names, [](const PreTokenizerName& row) { return row.name; });
    format_fail(FormatError::Kind::unsupported, "tokenizer.ggml.pre = \"%.60s\" is not supported; known: %s",
                name.c_str(), known.c_str());
}

std::string string_or(const JsonValue& metadata, const char* key, const char* absent) {
    const JsonValue* value = metadata.find(key);
    return value == nullptr ? absent : value->as_string(key);
}

TokenId id_or(const JsonValue& metadata, const char* key, TokenId absent) {
    const JsonValue* value = metadata.find(key);
    return value == nullptr ? absent : read_token_id(*value, key);
}

void read_vocabulary(const JsonValue& metadata, Vocabulary& vocabulary) {
    const char* key = "tokenizer.ggml.tokens";
    const JsonValue::Array& tokens = metadata.at(key, "GGUF metadata").as_array(key);
    vocabulary.reserve(std::min(tokens.size(), Vocabulary::max_tokens), 0);
    for (const JsonValue& token : tokens) vocabulary.add(token.as_string(key));
}

// Control and unknown tokens are special, user-defined ones are not; all are found before the text is normalized.
void read_added_tokens(const JsonValue& metadata, TokenizerSpec& spec) {
    const char* key = "tokenizer.ggml.token_type";
    const JsonValue* types_json = metadata.find(key);
    if (types_json == nullptr) return;
    const JsonValue::Array& types = types_json->as_array(key);
    if (types.size() != spec.vocabulary.size()) {
        format_fail(FormatError::Kind::malformed, "%s: one for each of %zu tokens expected, %zu found", key,
                    spec.vocabulary.size(), types.size());
    }
    for (size_t i = 0; i < types.size(); ++i) {
        const int64_t number = types[i].as_integer(key);
        if (number < 0 || number > static_cast<int64_t>(TokenType::byte)) {
            format_fail(FormatError::Kind::unsupported, "%s: 0 … 6 expected for token %zu, %lld found", key, i,
                        static_cast<long long>(number));
        }
        const auto type = static_cast<TokenType>(number);
        const bool special = type == TokenType::control || type == TokenType::unknown;
        const TokenId id = static_cast<TokenId>(i);
        const std::string content = valid_utf8(spec.vocabulary.text(id));
        if (content.empty() || (!special && type != TokenType::user_defined)) continue;
        spec.added_tokens.push_back({.id = id, .content = content, .special = special});
    }
}

// "left right"; a token may start with a space, but neither can hold one elsewhere.
void read_merges(const JsonValue& metadata, TokenizerSpec& spec) {
    const char* key = "tokenizer.ggml.merges";
    const JsonValue::Array& merges = metadata.at(key, "GGUF metadata").as_array(key);
    spec.merges.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
        const std::string_view text = merges[rank].as_string(key);
        const size_t space = text.find(' ', 1);
        const bool cut = space != std::string_view::npos;
        const TokenId left = cut ? spec.vocabulary.find(text.substr(0, space)) : -1;
        const TokenId right = cut ? spec.vocabulary.find(text.substr(space + 1)) : -1;
        if (left < 0 || right < 0) {
            format_fail(FormatError::Kind::malformed, "%s[%zu]: two tokens of the vocabulary expected, \"%.80s\" found",
                        key, rank, std::string(text).c_str());
        }
        spec.merges.emplace_back(left, right);
    }
}

void read_scores(const JsonValue& metadata, TokenizerSpec& spec) {
    const char* key = "tokenizer.ggml.scores";
    for (const JsonValue& score : metadata.at(key, "GGUF metadata").as_array(key)) {
        spec.scores.push_back(static_cast<float>(score.as_number(key)));
    }
}

JsonValue constant_json(const std::string& text) {
    return parse_json(text, "tokenizer pipeline of a GGUF file");
}

void read_special(const JsonValue& metadata, bool adds_bos, TokenId bos, TokenId eos, TokenizerSpec& spec) {
    spec.bos = id_or(metadata, "tokenizer.ggml.bos_token_id", bos);
    spec.eos = id_or(metadata, "tokenizer.ggml.eos_token_id", eos);
    const bool add_bos = bool_or(metadata, "tokenizer.ggml.add_bos_token", adds_bos);
    const bool add_eos = bool_or(metadata, "tokenizer.ggml.add_eos_token", false);
    spec.post_processor = template_processor(add_bos ? spec.bos : -1, add_eos ? spec.eos : -1);
}

void read_byte_level(const JsonValue& metadata, TokenizerSpec& spec) {
    const PreTokenizerName& pre = find_pre_tokenizer(string_or(metadata, "tokenizer.ggml.pre", "default"));
    const std::string byte_level = std::string(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":)") +
                                   (pre.gpt2_regex ? "true}" : "false}");
    read_merges(metadata, spec);
    spec.ignore_merges = pre.ignore_merges;
    spec.normalizer = constant_json(pre.normalizer);
    spec.pre_tokenizer =
        constant_json(std::string(R"({"type":"Sequence","pretokenizers":[)") + pre.pre_tokenizers + byte_level + "]}");
    spec.decoder = constant_json(R"({"type":"ByteLevel"})");
    read_special(metadata, pre.adds_bos, -1, -1, spec);
}

void read_sentence_piece(const JsonValue& metadata, TokenizerSpec& spec) {
    const bool add_space = bool_or(metadata, "tokenizer.ggml.add_space_prefix", true);
    const TokenId unk = id_or(metadata, "tokenizer.ggml.unknown_token_id", 0);
    read_scores(metadata, spec);
    spec.byte_fallback = true;
    spec.fuse_unk = true;
    spec.unk_token = spec.vocabulary.text(unk);
    spec.normalizer = constant_json(std::string(R"({"type":"Sequence","normalizers":[)") +
                                    (add_space ? R"({"type":"Prepend","prepend":"▁"},)" : "") +
                                    R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})");
    spec.decoder = constant_json(
        std::string(R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)") +
        R"({"type":"ByteFallback"},{"type":"Fuse"})" +
        (add_space ? R"(,{"type":"Strip","content":" ","start":1,"stop":0})" : "") + "]}");
    read_special(metadata, true, 1, 2, spec);
}

struct ModelKind {
    const char* name;  // tokenizer.ggml.model
    void (*read)(const JsonValue& metadata, TokenizerSpec& spec);
};
constexpr ModelKind model_kinds[] = {{"gpt2", read_byte_level}, {"llama", read_sentence_piece}};

}  // namespace

TokenizerSpec spec_from_gguf(const JsonValue& metadata) {
    const char* key = "tokenizer.ggml.model";
    const std::string& model = metadata.at(key, "GGUF metadata").as_string(key);
    for (const ModelKind& kind : model_kinds) {
        if (model != kind.name) continue;
        TokenizerSpec spec;
        read_vocabulary(metadata, spec.vocabulary);
        read_added_tokens(metadata, spec);
        kind.read(metadata, spec);
        return spec;
    }
    format_fail(FormatError::Kind::unsupported, "%s = \"%.60s\" is not supported; known: gpt2, llama", key,
                model.c_str());
}

}  // namespace gq
