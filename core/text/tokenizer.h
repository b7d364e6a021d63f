// Text ↔ token ids, by the pipeline that the model's own files describe: added tokens → normalizer → pre-tokenizer →
// BPE → post-processor; decoder. In: tokenizer.json or GGUF metadata (through a Checkpoint), or the compact bytes of a
// .gq. Out: ids; UTF-8 text. Must not know models, templates or sampling. Immutable after loading: any number of
// threads may use one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"

namespace gq {

using TokenId = int32_t;

struct EncodeOptions {
    bool add_special = true;    // let the post-processor add BOS / EOS as the tokenizer asks
    bool parse_special = true;  // find control tokens (<|im_start|>) in the text; other added tokens always are found
};

class Tokenizer {
  public:
    // Throws FormatError (malformed, unsupported kind of model / normalizer / pre-tokenizer / decoder, by name).
    static Tokenizer from_checkpoint(const Checkpoint& checkpoint);
    // The compact binary form (formats/gq_file.md, "The tokenizer"); every count checked.
    static Tokenizer from_bytes(std::span<const std::byte> bytes);
    std::vector<std::byte> to_bytes() const;

    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    // Invalid UTF-8 is treated as U+FFFD per maximal bad sequence, as the reference library does for lossy input.
    std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;
    // skip_special leaves out control tokens (<|im_end|>, </s>, …).
    std::string decode(std::span<const TokenId> ids, bool skip_special = true) const;

    size_t vocab_size() const;
    // The token's own text as the vocabulary spells it; empty for an id out of range.
    std::string_view token_text(TokenId id) const;
    TokenId find_token(std::string_view text) const;  // -1 when absent (added tokens included)
    bool is_special(TokenId id) const;

    TokenId bos() const;  // -1 when the model has none
    TokenId eos() const;
    bool adds_bos() const;

  private:
    friend class StreamDecoder;
    struct Impl;
    explicit Tokenizer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Turns a growing list of ids into text that never ends inside a UTF-8 sequence.
class StreamDecoder {
  public:
    explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
    // The text that this id makes final; may be empty.
    std::string push(TokenId id);
    // What is still held back; incomplete sequences become U+FFFD.
    std::string finish();

  private:
    void keep_context();

    const Tokenizer& tokenizer_;
    bool skip_special_;
    std::vector<TokenId> pending_;  // ids whose text is not final yet, behind those that give them context
    size_t emitted_ = 0;            // bytes of pending_'s text already returned
};

}  // namespace gq
