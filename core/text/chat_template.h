// A parser and interpreter of the Jinja that real chat templates use. Templates are parsed, never recognised.
// In: template text; messages and special tokens. Out: the prompt, or Error naming line and construct: an unknown tag,
// filter, test, function or undefined name in a place that needs a value is an error, never a silent fallback.
// raise_exception(...) becomes an Error with its message. Must not know tokenizers or models. A parsed template is
// immutable and may be rendered by many threads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gq {

struct ChatMessage {
    std::string role;  // "system", "user", "assistant", …
    std::string content;
};

struct ChatContext {
    std::span<const ChatMessage> messages;
    bool add_generation_prompt = true;
    std::string bos_token, eos_token, unk_token, pad_token;  // empty when the model has none
};

class ChatTemplate {
  public:
    // Parses; throws Error(unsupported | bad_file) with line and tag.
    explicit ChatTemplate(std::string_view source);
    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;
    ~ChatTemplate();

    // Bounded in steps and output size, so that a hostile template ends in an Error.
    std::string render(const ChatContext& context) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace gq
