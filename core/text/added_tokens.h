// Finds added tokens in a text: at each place the longest one, from left to right.
// In: the added tokens of a spec, then text. Out: the text cut into tokens and what lies between them. Must not know
// models or pipelines beyond the normalizer that some contents go through.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/flat_map.h"
#include "core/text/pipeline.h"
#include "core/text/tokenizer_spec.h"

namespace gq {

// How the token stands in the text that it is looked for in: as it is, or as the normalizer makes it.
std::string content_in_text(const AddedToken& token, const Normalizer& normalizer);

class AddedTokenFinder {
  public:
    // A stretch of the text: an added token, or text between two (token nullptr).
    struct Part {
        size_t begin, end;
        const AddedToken* token;
    };

    // Takes the tokens whose `normalized` is this; keeps references to them.
    AddedTokenFinder(std::span<const AddedToken> tokens, bool normalized, const Normalizer& normalizer);

    // Cuts the text; no part is empty. Without parse_special, special tokens are text.
    std::vector<Part> cut(std::string_view text, bool parse_special) const;

  private:
    struct Found {
        const AddedToken* token = nullptr;
        size_t length = 0;
    };
    void add(std::string_view content, const AddedToken* token);
    Found longest_at(std::string_view text, size_t at) const;

    FlatMap<uint32_t> edges_;                         // of a trie: node << 8 | byte → node; the root is 0
    std::vector<const AddedToken*> tokens_{nullptr};  // by node; nullptr: none ends here
};

}  // namespace gq
