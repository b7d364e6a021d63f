// The parts around the model, each made from the JSON that tokenizer.json defines it by: what they work on, and how
// they are found by name. In: JSON. Out: functions, or FormatError(unsupported) naming a type that is not known. Must
// not know tokens, but for the post-processor's ids. Source of every meaning: the `tokenizers` library of Hugging Face,
// 0.23.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/names.h"
#include "core/text/regex.h"
#include "core/text/tokenizer.h"
#include "formats/format_error.h"
#include "formats/json.h"

namespace gq {

// A stretch of well-formed UTF-8 on its way through the normalizer.
struct NormalizedText {
    std::string text;
    bool at_start = true;  // the first character stands for the first character of the whole input
    size_t max_bytes = 0;  // no part of the pipeline may let the text grow beyond this
};

// The pieces that pre-tokenizers cut a text into: ascending spans of one block, not empty.
struct Pieces {
    struct Span {
        size_t begin, end;
    };
    NormalizedText whole;
    std::vector<Span> spans;

    std::string_view text(Span span) const {
        return std::string_view(whole.text).substr(span.begin, span.end - span.begin);
    }
};

// The texts of tokens on their way through the decoder.
struct DecodedText {
    std::vector<std::string> tokens;
    size_t max_bytes = 0;  // no part may let all of them together grow beyond this
};

using Normalizer = std::function<void(NormalizedText&)>;
using PreTokenizer = std::function<void(Pieces&)>;
using Decoder = std::function<void(DecodedText&)>;  // what is left is joined, nothing between

// Null is a part that does nothing; for the decoder, one that puts a space between tokens.
Normalizer parse_normalizer(const JsonValue& json);
PreTokenizer parse_pre_tokenizer(const JsonValue& json);
Decoder parse_decoder(const JsonValue& json);

// The ids that add_special puts around the ids of a text.
struct PostProcessor {
    std::vector<TokenId> before, after;
};
PostProcessor parse_post_processor(const JsonValue& json);
// True when a TemplateProcessing is in it, so that it says itself what is put around a text.
bool has_template(const JsonValue& post_processor);

// Each throws Error(unsupported) when the text has outgrown its limit, or would with that many bytes.
void check_growth(const NormalizedText& text);
void check_growth(const DecodedText& text);
void check_decoded_bytes(size_t bytes, const DecodedText& text);
size_t count_bytes(const DecodedText& text);

// --- what the four parsers share -------------------------------------------------------------------------------------

template <typename Part>
struct PartType {
    const char* name;  // the value of "type"
    Part (*parse)(const JsonValue& json);
};

// Looks up json's "type" in the rows. `what` names the kind of part in messages.
template <typename Part, size_t n>
Part parse_part(const JsonValue& json, const char* what, const PartType<Part> (&types)[n]) {
    const std::string& name = json.at("type", what).as_string(what);
    for (const PartType<Part>& type : types)
        if (name == type.name) return type.parse(json);
    const std::string known = join_names(types, [](const PartType<Part>& type) { return type.name; });
    format_fail(FormatError::Kind::unsupported, "%s of type \"%.60s\" is not supported; known: %s", what, name.c_str(),
                known.c_str());
}

// Throws FormatError(unsupported) when the Sequence has more parts than any tokenizer needs, those of Sequences in it
// counted: every part works on every text.
void check_part_count(const JsonValue& sequence, const char* member);

// The parts of a Sequence, in order.
template <typename Part>
std::vector<Part> parse_sequence(const JsonValue& json, const char* member, Part (*parse)(const JsonValue&)) {
    check_part_count(json, member);
    std::vector<Part> parts;
    for (const JsonValue& part : json.at(member, member).as_array(member)) parts.push_back(parse(part));
    return parts;
}

// {"String": text} or {"Regex": pattern}.
Regex parse_pattern(const JsonValue& json, const char* what);
bool bool_or(const JsonValue& json, const char* member, bool absent);
// The one character that a member holds.
std::string single_character(const JsonValue& json, const char* member, const char* what);

// How the byte-level parts write a byte: printable ASCII and Latin-1 as themselves, the others from U+0100 on. Source:
// GPT-2's encoder.py.
char32_t byte_to_char(uint8_t byte);
int char_to_byte(char32_t c);  // -1: stands for no byte

}  // namespace gq
