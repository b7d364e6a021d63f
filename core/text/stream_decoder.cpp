// Text of a growing list of ids. Only the last few ids are decoded again at each step: those whose text is not final,
// behind one or more whose text is, so that what a decoder does at the start of a text (dropping a space) falls on
// these. In: ids, one at a time. Out: well-formed UTF-8. Must not know how a tokenizer decodes.
#include "core/text/tokenizer.h"

namespace gq {

namespace {

constexpr std::string_view replacement = "\uFFFD";
constexpr size_t max_context = 8;   // ids; four hold the bytes of one character
constexpr size_t max_pending = 64;  // ids; so many without a whole character are no text

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(TokenId id) {
    if (tokenizer_.token_text(id).empty() || (skip_special_ && tokenizer_.is_special(id))) return {};
    pending_.push_back(id);
    const std::string text = tokenizer_.decode(pending_, skip_special_);
    // U+FFFD at the end may be the first bytes of a character; elsewhere it is final.
    size_t final_bytes = text.size();
    if (pending_.size() < max_pending) {
        while (std::string_view(text).substr(0, final_bytes).ends_with(replacement)) final_bytes -= replacement.size();
    }
    if (final_bytes < emitted_) return {};
    const std::string out = text.substr(emitted_, final_bytes - emitted_);
    emitted_ = final_bytes;
    if (final_bytes == text.size()) keep_context();
    return out;
}

std::string StreamDecoder::finish() {
    const std::string text = tokenizer_.decode(pending_, skip_special_);
    const std::string out = text.size() > emitted_ ? text.substr(emitted_) : std::string();
    pending_.clear();
    emitted_ = 0;
    return out;
}

// Forgets all but the last ids that are text on their own; all of it has been emitted.
void StreamDecoder::keep_context() {
    for (size_t n = 1; n <= max_context && n <= pending_.size(); ++n) {
        const std::span<const TokenId> context = std::span(pending_).last(n);
        const std::string text = tokenizer_.decode(context, skip_special_);
        const bool whole = !text.empty() && text.find(replacement) == std::string::npos;
        if (!whole && pending_.size() < max_pending) continue;
        emitted_ = text.size();
        pending_.erase(pending_.begin(), pending_.end() - static_cast<ptrdiff_t>(n));
        return;
    }
}

}  // namespace gq
