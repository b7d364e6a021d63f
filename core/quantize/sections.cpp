// Makes the sections and reads them back. See sections.h.
// In: a checkpoint, its hyper-parameters and tokenizer. Out: sections that opening the file will accept, or an error
// before any work is done. Must not know weights.
#include "core/quantize/sections.h"

#include "core/base/status.h"
#include "core/model/generation_settings.h"
#include "core/text/chat_template.h"

namespace gq {
namespace {

std::string chat_template_of(const Checkpoint& checkpoint) {
    const char* key = checkpoint.kind() == Checkpoint::Kind::gguf ? "tokenizer.chat_template" : "chat_template";
    const JsonValue* chat = checkpoint.metadata().find(key);
    return chat ? chat->as_string(key) : "";
}

// A template that can't be parsed costs the model its chats, not its life.
std::string error_of(const std::string& chat_template) {
    if (chat_template.empty()) return "";
    try {
        ChatTemplate parsed(chat_template);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace

Sections make_sections(const Checkpoint& checkpoint, const HyperParams& params, const Tokenizer& tokenizer) {
    if (tokenizer.vocab_size() > params.vocab)
        fail(Status::bad_file, "%s: a tokenizer of at most %zu tokens expected (rows of the embedding), found %zu",
             checkpoint.path().c_str(), params.vocab, tokenizer.vocab_size());
    Sections sections{.model = params.to_json(),
                      .generation = GenerationSettings::from_checkpoint(checkpoint, tokenizer).to_json(),
                      .chat_template = chat_template_of(checkpoint),
                      .chat_error = "",
                      .tokenizer = tokenizer.to_bytes()};
    sections.chat_error = error_of(sections.chat_template);
    const std::string where = checkpoint.path().string();
    HyperParams::from_json(sections.model, where);
    GenerationSettings::from_json(sections.generation, where);
    Tokenizer::from_bytes(sections.tokenizer);
    return sections;
}

void write_sections(GqWriter& writer, const Sections& sections, const std::string& provenance) {
    const auto add = [&](const char* name, const std::string& text) {
        writer.add_section(name, std::as_bytes(std::span(text)));
    };
    add("model", sections.model);
    writer.add_section("tokenizer", sections.tokenizer);
    if (!sections.chat_template.empty()) add("chat_template", sections.chat_template);
    add("generation", sections.generation);
    add("provenance", provenance);
}

}  // namespace gq
