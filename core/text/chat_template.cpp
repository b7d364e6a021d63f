// Chats → prompts: the variables that Hugging Face's apply_chat_template gives a template, and the present time.
// In: template text; messages and special tokens. Out: the prompt. See chat_template.h.
// Must not know the language itself: that is in jinja_*.
#include "core/text/chat_template.h"

#include <ctime>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_parser.h"

namespace gq {

namespace {

// The one place that looks at a clock.
std::tm local_time() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    return local;
}

jinja::Value make_messages(std::span<const ChatMessage> messages) {
    using jinja::Value;
    jinja::Sequence list;
    list.depth = 2;
    for (const ChatMessage& message : messages) {
        jinja::Dict members;
        const auto add = [&](const char* name, const std::string& text) {
            members.index.emplace(jinja::dict_key(name), members.members.size());
            members.members.emplace_back(Value::text(name), Value::text(text));
        };
        add("role", message.role);
        add("content", message.content);
        list.items.push_back(Value(std::make_shared<const jinja::Dict>(std::move(members))));
    }
    return Value(std::make_shared<const jinja::Sequence>(std::move(list)));
}

// A special token that the model lacks stays undefined; tools and documents are none, as when a caller passes neither.
jinja::Variables make_variables(const ChatContext& context) {
    jinja::Variables variables = {
        {"messages", make_messages(context.messages)},
        {"add_generation_prompt", jinja::Value(context.add_generation_prompt)},
        {"tools", jinja::Value()},
        {"documents", jinja::Value()},
    };
    const std::pair<const char*, const std::string&> tokens[] = {{"bos_token", context.bos_token},
                                                                 {"eos_token", context.eos_token},
                                                                 {"unk_token", context.unk_token},
                                                                 {"pad_token", context.pad_token}};
    for (const auto& [name, token] : tokens) {
        if (!token.empty()) variables.emplace_back(name, jinja::Value::text(token));
    }
    return variables;
}

}  // namespace

struct ChatTemplate::Impl {
    jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source) : impl_(std::make_unique<Impl>(Impl{jinja::parse(source)})) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const ChatContext& context) const {
    return jinja::render(impl_->block, make_variables(context), local_time());
}

}  // namespace gq
