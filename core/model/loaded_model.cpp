// Opens a .gq and its sections. See loaded_model.h.
// In: a path. Out: weights bound, tokenizer and settings read, each error with the file's name before it.
// Must not know sequences or callers.
#include "core/model/loaded_model.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/status.h"
#include "formats/format_error.h"

namespace gq {
namespace {

std::string_view text_of(const GqSection& section) {
    return {reinterpret_cast<const char*>(section.bytes.data()), section.bytes.size()};
}

Tokenizer read_tokenizer(const GqFile& file, const HyperParams& params) {
    const GqSection* section = file.section("tokenizer");
    if (!section) fail(Status::bad_file, "section 'tokenizer' expected, not found");
    Tokenizer tokenizer = Tokenizer::from_bytes(section->bytes);
    if (tokenizer.vocab_size() > params.vocab)
        fail(Status::bad_file, "section 'tokenizer': at most %zu tokens expected (rows of the embedding), found %zu",
             params.vocab, tokenizer.vocab_size());
    return tokenizer;
}

std::optional<std::string_view> find_chat_template(const GqFile& file) {
    const GqSection* section = file.section("chat_template");
    return section ? std::optional(text_of(*section)) : std::nullopt;
}

GenerationSettings read_generation(const GqFile& file) {
    const GqSection* section = file.section("generation");
    return section ? GenerationSettings::from_json(text_of(*section), "section 'generation'") : GenerationSettings{};
}

std::unique_ptr<LoadedModel> bind_sections(GqFile&& file) {
    Model model = bind_packed(file);
    Tokenizer tokenizer = read_tokenizer(file, model.params);
    GenerationSettings generation = read_generation(file);
    const std::optional<std::string_view> chat = find_chat_template(file);
    // Views into the mapping stay where they are when the file moves.
    return std::unique_ptr<LoadedModel>(
        new LoadedModel{std::move(file), std::move(model), std::move(tokenizer), chat, std::move(generation)});
}

}  // namespace

std::unique_ptr<LoadedModel> LoadedModel::open(const std::filesystem::path& path, bool verify, FileMemory memory,
                                               bool lock) {
    GqFile file(path, memory);
    if (const std::string refusal = lock ? file.lock() : std::string(); !refusal.empty())
        log_message(LogLevel::warning, "%s: not kept in memory: %s", path.c_str(), refusal.c_str());
    if (verify) file.verify();
    // What is wrong inside is told by the name of a tensor or a section; which file it is, is known here.
    try {
        return bind_sections(std::move(file));
    } catch (const Error& error) {
        throw Error(error.status(), path.string() + ": " + error.what());
    } catch (const FormatError& error) {
        throw FormatError(error.kind(), path.string() + ": " + error.what());
    }
}

std::string LoadedModel::render_chat(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
    if (!chat_template) fail(Status::unsupported, "chat: this model has no chat template");
    const auto text = [&](TokenId id) { return id < 0 ? std::string() : std::string(tokenizer.token_text(id)); };
    return ChatTemplate(*chat_template)
        .render({.messages = messages,
                 .add_generation_prompt = add_generation_prompt,
                 .bos_token = text(tokenizer.bos()),
                 .eos_token = text(tokenizer.eos()),
                 .unk_token = {},
                 .pad_token = {}});
}

uint64_t LoadedModel::n_weights() const {
    uint64_t total = 0;
    for (const GqTensor& tensor : file.tensors()) total += tensor.rows * tensor.cols * tensor.experts;
    return total;
}

uint64_t LoadedModel::streamed_bytes() const {
    uint64_t total = 0;
    std::vector<std::string> looked_up;  // one row of each
    if (!model.params.tied_head) looked_up.push_back(packed_name(model.arch->embedding, 0));
    for (const WeightRow& row : model.arch->outer_weights)
        if (row.kind == WeightKind::table) looked_up.push_back(packed_name(row, 0));
    for (const GqTensor& tensor : file.tensors()) {
        if (std::find(looked_up.begin(), looked_up.end(), tensor.name) != looked_up.end()) continue;
        for (const GqPart& part : tensor.parts) total += part.bytes.size();
    }
    return total;
}

}  // namespace gq
