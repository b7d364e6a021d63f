// The merge loop with a heap, and the two ways to rank a merge. See bpe.h.
// In: words. Out: ids.
// Must not know where words come from.
#include "core/text/bpe.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/text/unicode.h"
#include "formats/format_error.h"

namespace gq {

namespace {

uint64_t pair_key(TokenId left, TokenId right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Bpe::Bpe(const TokenizerSpec& spec) : spec_(spec) {
    if (!spec.unk_token.empty()) {
        unk_ = spec.vocabulary.find(spec.unk_token);
        if (unk_ < 0) {
            format_fail(FormatError::Kind::malformed,
                        "tokenizer unk_token \"%.100s\": a token of the vocabulary expected", spec.unk_token.c_str());
        }
    }
    for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02zX>", byte);
        byte_tokens_[byte] = spec.byte_fallback ? spec.vocabulary.find(name) : -1;
    }
    for (size_t c = 0; c < characters_.size(); ++c) {
        std::string text;
        append_utf8(text, static_cast<char32_t>(c));
        characters_[c] = spec.vocabulary.find(text);
    }
    if (by_score()) {
        rank_scores();
    } else {
        add_merges();
    }
}

void Bpe::add_merges() {
    const Vocabulary& vocabulary = spec_.vocabulary;
    merges_.reserve(spec_.merges.size());
    std::string joined;
    for (size_t rank = 0; rank < spec_.merges.size(); ++rank) {
        const auto [left, right] = spec_.merges[rank];
        joined = vocabulary.text(left);
        joined += vocabulary.text(right);
        const TokenId token = vocabulary.find(joined);
        if (token < 0) {
            format_fail(FormatError::Kind::malformed,
                        "tokenizer merge %zu gives \"%.100s\": a token of the vocabulary expected", rank,
                        joined.c_str());
        }
        merges_[pair_key(left, right)] = {static_cast<uint32_t>(rank), token};
    }
}

// Tokens of one score have one rank.
void Bpe::rank_scores() {
    const std::vector<float>& scores = spec_.scores;
    if (scores.size() != spec_.vocabulary.size()) {
        format_fail(FormatError::Kind::malformed,
                    "tokenizer scores: one number for each of %zu tokens expected, %zu found", spec_.vocabulary.size(),
                    scores.size());
    }
    const auto nan = std::find_if(scores.begin(), scores.end(), [](float s) { return std::isnan(s); });
    if (nan != scores.end()) {
        format_fail(FormatError::Kind::malformed, "tokenizer scores: a number expected for token %zu, nan found",
                    static_cast<size_t>(nan - scores.begin()));
    }
    std::vector<float> descending = scores;
    std::sort(descending.begin(), descending.end(), std::greater<>());
    for (const float score : scores) {
        const auto first = std::lower_bound(descending.begin(), descending.end(), score, std::greater<>());
        score_rank_.push_back(static_cast<uint32_t>(first - descending.begin()));
    }
}

TokenId Bpe::find_character(std::string_view character, char32_t code_point) const {
    return code_point < characters_.size() ? characters_[code_point] : spec_.vocabulary.find(character);
}

void Bpe::encode_word(std::string_view word, Workspace& workspace, std::vector<TokenId>& out) const {
    if (spec_.ignore_merges) {
        if (const TokenId whole = spec_.vocabulary.find(word); whole >= 0) return out.push_back(whole);
    }
    std::vector<Symbol>& symbols = workspace.symbols;
    symbols.clear();
    if (by_score()) {
        split_for_scores(word, symbols);
    } else {
        split_for_ranks(word, symbols);
    }
    for (size_t i = 0; i < symbols.size(); ++i) {
        symbols[i].previous = static_cast<int32_t>(i) - 1;
        symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
    }
    merge_all(word, workspace);
    for (const Symbol& symbol : symbols) {
        if (symbol.length == 0) continue;
        if (symbol.token >= 0) {
            out.push_back(symbol.token);
        } else {
            append_unknown(word.substr(symbol.begin, symbol.length), out);
        }
    }
}

// Scores merge texts, so that even a character that is no token may become part of one.
void Bpe::split_for_scores(std::string_view word, std::vector<Symbol>& symbols) const {
    for (size_t at = 0; at < word.size();) {
        const CodePoint c = code_point_at(word, at);
        const TokenId token = find_character(word.substr(at, c.length), c.value);
        symbols.push_back({token, static_cast<uint32_t>(at), static_cast<uint32_t>(c.length), -1, -1});
        at += c.length;
    }
}

// Ranks merge tokens, so unknown characters become tokens first. An unknown token stands behind the bytes that follow
// it, as the reference has it.
void Bpe::split_for_ranks(std::string_view word, std::vector<Symbol>& symbols) const {
    bool unknown_pending = false;
    for (size_t at = 0; at < word.size();) {
        const CodePoint c = code_point_at(word, at);
        const std::string_view character = word.substr(at, c.length);
        const auto push = [&](TokenId token) { symbols.push_back({token, static_cast<uint32_t>(at), 1, -1, -1}); };
        if (const TokenId token = find_character(character, c.value); token >= 0) {
            if (unknown_pending) push(unk_);
            unknown_pending = false;
            push(token);
        } else if (has_bytes(character)) {
            for (const char byte : character) push(byte_tokens_[static_cast<uint8_t>(byte)]);
        } else if (unk_ >= 0) {
            if (unknown_pending && !spec_.fuse_unk) push(unk_);
            unknown_pending = true;
        }
        at += c.length;
    }
    if (unknown_pending) symbols.push_back({unk_, 0, 1, -1, -1});
}

bool Bpe::has_bytes(std::string_view character) const {
    return std::all_of(character.begin(), character.end(),
                       [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)] >= 0; });
}

void Bpe::append_unknown(std::string_view character, std::vector<TokenId>& out) const {
    if (has_bytes(character)) {
        for (const char byte : character) out.push_back(byte_tokens_[static_cast<uint8_t>(byte)]);
    } else if (unk_ >= 0 && !(spec_.fuse_unk && !out.empty() && out.back() == unk_)) {
        out.push_back(unk_);
    }
}

std::optional<Bpe::Merge> Bpe::find_merge(const Symbol& left, const Symbol& right, std::string_view word) const {
    if (!by_score()) {
        const Merge* merge = merges_.find(pair_key(left.token, right.token));
        return merge == nullptr ? std::nullopt : std::optional(*merge);
    }
    const TokenId token = spec_.vocabulary.find(word.substr(left.begin, left.length + right.length));
    return token < 0 ? std::nullopt : std::optional(Merge{score_rank_[static_cast<size_t>(token)], token});
}

// Puts the merge of symbol `at` with its successor into the heap, if there is one.
void Bpe::consider(std::string_view word, int32_t at, Workspace& workspace) const {
    if (at < 0) return;
    const Symbol& left = workspace.symbols[static_cast<size_t>(at)];
    if (left.next < 0) return;
    const auto merge = find_merge(left, workspace.symbols[static_cast<size_t>(left.next)], word);
    if (!merge) return;
    workspace.heap.push_back({merge->rank, static_cast<uint32_t>(at), merge->token});
    std::push_heap(workspace.heap.begin(), workspace.heap.end());
}

// A candidate is stale when one of its symbols has changed since; a look-up of the present pair tells.
void Bpe::merge_all(std::string_view word, Workspace& workspace) const {
    std::vector<Symbol>& symbols = workspace.symbols;
    std::vector<Candidate>& heap = workspace.heap;
    heap.clear();
    for (size_t i = 0; i < symbols.size(); ++i) consider(word, static_cast<int32_t>(i), workspace);
    while (!heap.empty()) {
        const Candidate best = heap.front();
        std::pop_heap(heap.begin(), heap.end());
        heap.pop_back();
        Symbol& left = symbols[best.at];
        if (left.length == 0 || left.next < 0) continue;
        Symbol& right = symbols[static_cast<size_t>(left.next)];
        const auto merge = find_merge(left, right, word);
        if (!merge || merge->token != best.token) continue;
        left.token = best.token;
        left.length += right.length;
        left.next = right.next;
        right.length = 0;
        if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(best.at);
        consider(word, left.previous, workspace);
        consider(word, static_cast<int32_t>(best.at), workspace);
    }
}

}  // namespace gq
