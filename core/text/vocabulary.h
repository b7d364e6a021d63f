// The tokens of a model: id ↔ text, all texts in one block.
// In: tokens in the order of their ids. Out: look-ups both ways.
// Must not know how tokens are found in a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"

namespace gq {

class Vocabulary {
  public:
    static constexpr size_t max_tokens = size_t{1} << 22;
    static constexpr size_t max_token_bytes = size_t{1} << 16;

    // Gives the next id to the text; "" makes an id that no text has. When a text comes twice, the later id is found
    // for it. Throws FormatError(malformed) beyond max_tokens or max_token_bytes.
    void add(std::string_view text);
    void reserve(size_t tokens, size_t bytes);

    size_t size() const { return ends_.size(); }
    // Empty for an id out of range.
    std::string_view text(TokenId id) const;
    TokenId find(std::string_view text) const;  // -1 when absent

  private:
    size_t place(std::string_view text) const;
    void grow_slots(size_t size);

    std::string texts_;
    std::vector<size_t> ends_;    // of token i's text in texts_
    std::vector<TokenId> slots_;  // hash table of ids; -1: free
};

}  // namespace gq
