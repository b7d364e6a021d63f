// Byte-pair encoding of one word: characters, then merges, the best rank (or score) first and the leftmost of equals,
// until none is left. In: a vocabulary with merges or scores, then words. Out: ids. Must not know where words come
// from. Sources: Sennrich et al. 2016 (arXiv 1508.07909); byte fallback and merging by score as in SentencePiece (arXiv
// 1808.06226).
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "core/text/flat_map.h"
#include "core/text/tokenizer_spec.h"

namespace gq {

class Bpe {
    // A piece of the word: bytes [begin, begin + length), in a list linked by index. length 0: merged away.
    struct Symbol {
        TokenId token;  // -1: no token (yet)
        uint32_t begin, length;
        int32_t previous, next;  // -1: none
    };
    // A merge of the symbol `at` with the next one that was possible when it was put into the heap.
    struct Candidate {
        uint32_t rank, at;
        TokenId token;
        bool operator<(const Candidate& other) const {  // the heap's top is the largest: lowest rank, then leftmost
            return rank != other.rank ? rank > other.rank : at > other.at;
        }
    };
    struct Merge {
        uint32_t rank;
        TokenId token;
    };

  public:
    // Memory that calls may use one after another.
    struct Workspace {
        std::vector<Symbol> symbols;
        std::vector<Candidate> heap;
    };

    // Keeps a reference to the spec. Throws FormatError(malformed) for merges and names that the vocabulary does not
    // know.
    explicit Bpe(const TokenizerSpec& spec);

    // Appends the ids of a word of less than 2^31 bytes. O(n log n).
    void encode_word(std::string_view word, Workspace& workspace, std::vector<TokenId>& out) const;

  private:
    void add_merges();
    void rank_scores();
    bool by_score() const { return !spec_.scores.empty(); }
    TokenId find_character(std::string_view character, char32_t code_point) const;
    void split_for_scores(std::string_view word, std::vector<Symbol>& symbols) const;
    void split_for_ranks(std::string_view word, std::vector<Symbol>& symbols) const;
    void merge_all(std::string_view word, Workspace& workspace) const;
    void consider(std::string_view word, int32_t at, Workspace& workspace) const;
    std::optional<Merge> find_merge(const Symbol& left, const Symbol& right, std::string_view word) const;
    bool has_bytes(std::string_view character) const;
    void append_unknown(std::string_view character, std::vector<TokenId>& out) const;

    const TokenizerSpec& spec_;
    FlatMap<Merge> merges_;             // by pair of tokens
    std::vector<uint32_t> score_rank_;  // by token; empty where merges are given
    TokenId unk_ = -1;
    std::array<TokenId, 256> byte_tokens_;
    std::array<TokenId, 0x800> characters_;  // the tokens of the first code points
};

}  // namespace gq
