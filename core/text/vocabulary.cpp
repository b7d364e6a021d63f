// Id ↔ text by an array of ends and a hash table of ids. See vocabulary.h.
// In: texts. Out: ids, texts.
// Must not know how tokens are found in a text.
#include "core/text/vocabulary.h"

#include <bit>
#include <cstring>

#include "formats/format_error.h"

namespace gq {

namespace {

uint64_t hash_of(std::string_view text) {
    uint64_t hash = text.size();
    for (size_t at = 0; at < text.size(); at += 8) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + at, text.size() - at < 8 ? text.size() - at : 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash * 0xBF58476D1CE4E5B9u >> 20;
}

}  // namespace

void Vocabulary::add(std::string_view text) {
    if (size() == max_tokens || text.size() > max_token_bytes) {
        format_fail(
            FormatError::Kind::malformed,
            "tokenizer vocabulary: at most %zu tokens of at most %zu bytes expected, token %zu with %zu bytes found",
            max_tokens, max_token_bytes, size(), text.size());
    }
    if (2 * size() >= slots_.size()) grow_slots(4 * size() + 16);
    texts_ += text;
    ends_.push_back(texts_.size());
    if (!text.empty()) slots_[place(text)] = static_cast<TokenId>(size() - 1);
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
    texts_.reserve(bytes);
    ends_.reserve(tokens);
    grow_slots(2 * tokens + 2);
}

std::string_view Vocabulary::text(TokenId id) const {
    if (id < 0 || static_cast<size_t>(id) >= size()) return {};
    const size_t i = static_cast<size_t>(id), begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(texts_).substr(begin, ends_[i] - begin);
}

TokenId Vocabulary::find(std::string_view text) const {
    return slots_.empty() || text.empty() ? -1 : slots_[place(text)];
}

// The slot of the token with this text, or the free one where it belongs.
size_t Vocabulary::place(std::string_view text) const {
    const size_t mask = slots_.size() - 1;
    size_t at = hash_of(text) & mask;
    while (slots_[at] >= 0 && this->text(slots_[at]) != text) at = (at + 1) & mask;
    return at;
}

void Vocabulary::grow_slots(size_t size) {
    if (size <= slots_.size()) return;
    slots_.assign(std::bit_ceil(size), -1);
    for (size_t i = 0; i < ends_.size(); ++i) {
        const std::string_view token = text(static_cast<TokenId>(i));
        if (!token.empty()) slots_[place(token)] = static_cast<TokenId>(i);
    }
}

}  // namespace gq
