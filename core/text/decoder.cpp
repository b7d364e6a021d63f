// Decoders: they turn the texts of tokens into the text that was encoded. Each works on the list of strings that the
// one before it left. In: JSON, then strings. Out: strings to be joined.
// Must not know ids.
#include <cstdio>

#include "core/text/pipeline.h"
#include "core/text/unicode.h"
#include "formats/utf8.h"

namespace gq {

namespace {

constexpr const char* what = "tokenizer decoder";

// A token with a character that stands for no byte, such as an added token's, is taken as it is.
void append_token_bytes(std::string_view token, std::string& out) {
    const size_t before = out.size();
    for (size_t at = 0; at < token.size();) {
        const CodePoint c = code_point_at(token, at);
        const int byte = char_to_byte(c.value);
        if (byte < 0) {
            out.resize(before);
            out += token;
            return;
        }
        out += static_cast<char>(byte);
        at += c.length;
    }
}

Decoder byte_level(const JsonValue&) {
    return [](DecodedText& text) {
        std::string bytes;
        for (const std::string& token : text.tokens) append_token_bytes(token, bytes);
        text.tokens.assign(1, valid_utf8(bytes));
    };
}

// The value of a token "<0xHH>", or -1.
int byte_value(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    int value = 0;
    for (const char c : token.substr(3, 2)) {
        const bool digit = c >= '0' && c <= '9';
        const char lower = static_cast<char>(c | 0x20);
        if (!digit && (lower < 'a' || lower > 'f')) return -1;
        value = value * 16 + (digit ? c - '0' : lower - 'a' + 10);
    }
    return value;
}

// A run of byte tokens becomes its text when it is well-formed as a whole, else one U+FFFD for each byte.
void append_bytes(std::string& bytes, std::vector<std::string>& out) {
    if (bytes.empty()) return;
    if (valid_utf8(bytes) == bytes) {
        out.push_back(bytes);
    } else {
        out.insert(out.end(), bytes.size(), "\uFFFD");
    }
    bytes.clear();
}

Decoder byte_fallback(const JsonValue&) {
    return [](DecodedText& text) {
        std::vector<std::string> out;
        std::string bytes;
        for (std::string& token : text.tokens) {
            if (const int byte = byte_value(token); byte >= 0) {
                bytes += static_cast<char>(byte);
            } else {
                append_bytes(bytes, out);
                out.push_back(std::move(token));
            }
        }
        append_bytes(bytes, out);
        text.tokens = std::move(out);
    };
}

Decoder fuse(const JsonValue&) {
    return [](DecodedText& text) {
        std::string all;
        for (const std::string& token : text.tokens) all += token;
        text.tokens.clear();
        text.tokens.push_back(std::move(all));
    };
}

Decoder replace(const JsonValue& json) {
    return [regex = parse_pattern(json, what), content = json.at("content", what).as_string(what)](DecodedText& text) {
        std::vector<Regex::Match> matches;
        size_t bytes = count_bytes(text);
        for (std::string& token : text.tokens) {
            regex.find_all(token, matches);
            if (matches.empty()) continue;
            for (const Regex::Match& match : matches) bytes += content.size() - (match.end - match.begin);
            check_decoded_bytes(bytes, text);
            std::string out;
            size_t done = 0;
            for (const Regex::Match& match : matches) {
                out.append(token, done, match.begin - done).append(content);
                done = match.end;
            }
            token = out.append(token, done);
        }
    };
}

// Takes up to `start` copies of the character from the front of each string and up to `stop` from its end.
Decoder strip(const JsonValue& json) {
    const std::string character = single_character(json, "content", what);
    const int64_t start = json.at("start", what).as_integer(what), stop = json.at("stop", what).as_integer(what);
    return [character, start, stop](DecodedText& text) {
        for (std::string& token : text.tokens) {
            size_t begin = 0, end = token.size();
            const auto rest = [&] { return std::string_view(token).substr(begin, end - begin); };
            for (int64_t i = 0; i < start && rest().starts_with(character); ++i) begin += character.size();
            for (int64_t i = 0; i < stop && rest().ends_with(character); ++i) end -= character.size();
            token = std::string(rest());
        }
    };
}

// The mark is a space, except in the first token, where it was put by the pre-tokenizer.
Decoder metaspace(const JsonValue& json) {
    const std::string mark = single_character(json, "replacement", what);
    const JsonValue* scheme = json.find("prepend_scheme");
    const bool never =
        scheme == nullptr ? !bool_or(json, "add_prefix_space", true) : scheme->as_string(what) == "never";
    return [mark, never](DecodedText& text) {
        std::vector<std::string>& tokens = text.tokens;
        for (size_t i = 0; i < tokens.size(); ++i) {
            const std::string_view space = i == 0 && !never ? "" : " ";
            std::string out;
            for (size_t at = 0; at < tokens[i].size();) {
                const bool marked = std::string_view(tokens[i]).substr(at).starts_with(mark);
                marked ? out += space : out += tokens[i][at];
                at += marked ? mark.size() : 1;
            }
            tokens[i] = std::move(out);
        }
    };
}

Decoder sequence(const JsonValue& json) {
    return [parts = parse_sequence(json, "decoders", parse_decoder)](DecodedText& text) {
        for (const Decoder& part : parts) {
            part(text);
            check_growth(text);
        }
    };
}

constexpr PartType<Decoder> types[] = {
    {"Sequence", sequence}, {"ByteLevel", byte_level}, {"Replace", replace},    {"ByteFallback", byte_fallback},
    {"Fuse", fuse},         {"Strip", strip},          {"Metaspace", metaspace}};

}  // namespace

Decoder parse_decoder(const JsonValue& json) {
    if (!json.is_null()) return parse_part(json, what, types);
    return [](DecodedText& text) {
        for (size_t i = 1; i < text.tokens.size(); ++i) text.tokens[i].insert(size_t{0}, 1, ' ');
    };
}

}  // namespace gq
