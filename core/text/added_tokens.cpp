// A trie over bytes, and the rules of single_word, lstrip and rstrip. See added_tokens.h.
// In: text. Out: parts. Must not know models.
// Source of the rules: AddedVocabulary of the `tokenizers` library, 0.23.
#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/text/unicode.h"

namespace gq {

namespace {

bool ends_with_word(std::string_view text) {
    return !text.empty() && is_word(code_point_at(text, previous_code_point(text, text.size())).value);
}

bool starts_with_word(std::string_view text) {
    return !text.empty() && is_word(code_point_at(text, 0).value);
}

// Where the whitespace at the end of the text begins.
size_t trailing_space_begin(std::string_view text) {
    size_t at = text.size();
    while (at > 0) {
        const size_t previous = previous_code_point(text, at);
        if (!is_whitespace(code_point_at(text, previous).value)) break;
        at = previous;
    }
    return at;
}

size_t leading_space_end(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
        const CodePoint c = code_point_at(text, at);
        if (!is_whitespace(c.value)) break;
        at += c.length;
    }
    return at;
}

}  // namespace

std::string content_in_text(const AddedToken& token, const Normalizer& normalizer) {
    NormalizedText content{.text = token.content, .at_start = true, .max_bytes = Vocabulary::max_token_bytes};
    if (token.normalized) normalizer(content);
    check_growth(content);
    return std::move(content.text);
}

AddedTokenFinder::AddedTokenFinder(std::span<const AddedToken> tokens, bool normalized, const Normalizer& normalizer) {
    for (const AddedToken& token : tokens) {
        if (token.normalized == normalized) add(content_in_text(token, normalizer), &token);
    }
}

void AddedTokenFinder::add(std::string_view content, const AddedToken* token) {
    if (content.empty()) return;
    uint32_t node = 0;
    for (const char byte : content) {
        uint32_t& child = edges_[uint64_t{node} << 8 | static_cast<uint8_t>(byte)];
        if (child == 0) {
            child = static_cast<uint32_t>(tokens_.size());
            tokens_.push_back(nullptr);
        }
        node = child;
    }
    tokens_[node] = token;
}

AddedTokenFinder::Found AddedTokenFinder::longest_at(std::string_view text, size_t at) const {
    Found found;
    uint64_t node = 0;
    for (size_t i = at; i < text.size(); ++i) {
        const uint32_t* child = edges_.find(node << 8 | static_cast<uint8_t>(text[i]));
        if (child == nullptr) break;
        node = *child;
        if (tokens_[node] != nullptr) found = {tokens_[node], i + 1 - at};
    }
    return found;
}

// A match that is not accepted is passed over as a whole: what it covers stays text. A token that stands in whitespace
// which the one before it has taken is found nevertheless.
std::vector<AddedTokenFinder::Part> AddedTokenFinder::cut(std::string_view text, bool parse_special) const {
    std::vector<Part> parts;
    size_t done = 0;
    for (size_t at = 0; at < text.size() && edges_.size() != 0;) {
        const auto [token, length] = longest_at(text, at);
        if (token == nullptr) {
            ++at;
            continue;
        }
        size_t begin = at, end = at + length;
        at = end;
        if (token->special && !parse_special) continue;
        const bool inside_word = ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end));
        if (token->single_word && inside_word) continue;
        if (token->lstrip) begin = std::max(trailing_space_begin(text.substr(0, begin)), done);
        if (token->rstrip) end += leading_space_end(text.substr(end));
        if (begin > done) parts.push_back({done, begin, nullptr});
        parts.push_back({begin, end, token});
        done = std::max(begin, end);
    }
    if (done < text.size()) parts.push_back({done, text.size(), nullptr});
    return parts;
}

}  // namespace gq
