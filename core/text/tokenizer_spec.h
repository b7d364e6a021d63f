// What makes a tokenizer, in one plain value: three loaders fill it (tokenizer_json, tokenizer_gguf, tokenizer_binary),
// Tokenizer is built from it. In: nothing. Out: the meeting place of the loaders. The parts of the pipeline stay the
// JSON of tokenizer.json, which is their definition.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "formats/json.h"

namespace gq {

// A text that is one token wherever it stands, found before anything else is done to the text around it.
struct AddedToken {
    TokenId id = -1;
    std::string content;
    bool single_word = false;  // only between characters that are no part of words
    bool lstrip = false;       // takes the whitespace before it
    bool rstrip = false;       // takes the whitespace behind it
    bool normalized = false;   // is looked for in the normalized text
    bool special = false;      // a control token: left out by decode, and found by encode only with parse_special
};

struct TokenizerSpec {
    Vocabulary vocabulary;  // of the model, without the added tokens that it does not know

    // The best merge first. Left empty where scores are given: then any two neighbours merge whose joined text is a
    // token, the best score first.
    std::vector<std::pair<TokenId, TokenId>> merges;
    std::vector<float> scores;  // by id

    bool byte_fallback = false;  // a character that is no token becomes the tokens <0x..> of its bytes
    bool fuse_unk = false;       // neighbouring unknown characters are one unknown token
    bool ignore_merges = false;  // a word that is a token is that token
    std::string unk_token;       // empty: unknown characters vanish

    std::vector<AddedToken> added_tokens;
    JsonValue normalizer, pre_tokenizer, post_processor, decoder;  // as in tokenizer.json; null: none
    TokenId bos = -1, eos = -1;
};

// tokenizer.json with the files beside it, as Checkpoint::metadata() shows a Hugging Face folder.
TokenizerSpec spec_from_hugging_face(const JsonValue& metadata);
// The tokenizer.ggml keys of a GGUF file.
TokenizerSpec spec_from_gguf(const JsonValue& metadata);
// The compact form (formats/gq_file.md, "The tokenizer").
TokenizerSpec spec_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> spec_to_bytes(const TokenizerSpec& spec);
// All four throw FormatError(malformed | unsupported).

// All of a spec but vocabulary, merges and scores, in the form of tokenizer.json, with bos_token_id and eos_token_id.
JsonValue settings_of(const TokenizerSpec& spec);
// Reads what settings_of writes, from there or from a tokenizer.json. The vocabulary must be there already. Absent
// members leave the spec as it is.
void read_settings(const JsonValue& settings, TokenizerSpec& spec);

// The id of an added token or, if none has this text, of the vocabulary; -1 when absent.
TokenId find_token(const TokenizerSpec& spec, std::string_view text);
// A post-processor that puts BOS before and EOS behind a text, those of them that are not -1.
JsonValue template_processor(TokenId bos, TokenId eos);
// The id as a number of JSON says it: -1 for null, else from 0 to max_tokens - 1, or FormatError(malformed).
TokenId read_token_id(const JsonValue& json, const char* what);

}  // namespace gq
