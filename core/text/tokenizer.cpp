// The pipeline, put together from a spec: added tokens → normalizer → added tokens → pre-tokenizer → BPE →
// post-processor, and the way back. In: a TokenizerSpec, then text or ids. Out: ids or text. Must not know where the
// spec came from.
#include "core/text/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/status.h"
#include "core/text/added_tokens.h"
#include "core/text/bpe.h"
#include "core/text/pipeline.h"
#include "core/text/tokenizer_spec.h"
#include "core/text/unicode.h"

namespace gq {

namespace {

constexpr size_t max_text_bytes = size_t{1} << 30;
constexpr size_t max_growth = 32, growth_to_start = size_t{1} << 16;

// What a text of so many bytes may grow to by normalizing or decoding.
size_t growth_limit(size_t bytes) {
    return std::min(bytes * max_growth + growth_to_start, max_text_bytes);
}

}  // namespace

struct Tokenizer::Impl {
    explicit Impl(TokenizerSpec source);

    void check_id(TokenId id, const char* what) const;
    void encode_stretch(std::string_view text, bool at_start, const EncodeOptions& options,
                        std::vector<TokenId>& out) const;
    void encode_pieces(Pieces pieces, std::vector<TokenId>& out) const;

    const TokenizerSpec spec;
    const Normalizer normalizer;
    const PreTokenizer pre_tokenizer;
    const PostProcessor post_processor;
    const Decoder decoder;
    const AddedTokenFinder raw_finder, normalized_finder;
    const Bpe bpe;
    struct Added {
        const AddedToken* token;
        std::string decoded;  // what the decoder is given: the content as it stands in normalized text
    };
    std::unordered_map<TokenId, Added> added;
    std::unordered_map<std::string_view, TokenId> added_ids;
    size_t vocab_size = 0;
};

Tokenizer::Impl::Impl(TokenizerSpec source)
    : spec(std::move(source)),
      normalizer(parse_normalizer(spec.normalizer)),
      pre_tokenizer(parse_pre_tokenizer(spec.pre_tokenizer)),
      post_processor(parse_post_processor(spec.post_processor)),
      decoder(parse_decoder(spec.decoder)),
      raw_finder(spec.added_tokens, false, normalizer),
      normalized_finder(spec.added_tokens, true, normalizer),
      bpe(spec),
      vocab_size(spec.vocabulary.size()) {
    if (vocab_size == 0)
        format_fail(FormatError::Kind::malformed, "tokenizer vocabulary: at least one token expected, none found");
    for (const AddedToken& token : spec.added_tokens) {
        added[token.id] = {&token, content_in_text(token, normalizer)};
        added_ids.emplace(token.content, token.id);
        vocab_size = std::max(vocab_size, static_cast<size_t>(token.id) + 1);
    }
    for (const TokenId id : post_processor.before) check_id(id, "post_processor");
    for (const TokenId id : post_processor.after) check_id(id, "post_processor");
    if (spec.bos >= 0) check_id(spec.bos, "BOS");
    if (spec.eos >= 0) check_id(spec.eos, "EOS");
}

void Tokenizer::Impl::check_id(TokenId id, const char* what) const {
    if (id >= 0 && static_cast<size_t>(id) < vocab_size) return;
    format_fail(FormatError::Kind::malformed, "tokenizer %s: an id below %zu expected, %d found", what, vocab_size, id);
}

// What lies between added tokens that are looked for in the raw text.
void Tokenizer::Impl::encode_stretch(std::string_view text, bool at_start, const EncodeOptions& options,
                                     std::vector<TokenId>& out) const {
    const size_t max_bytes = growth_limit(text.size());
    NormalizedText normalized{.text = std::string(text), .at_start = at_start, .max_bytes = max_bytes};
    normalizer(normalized);
    check_growth(normalized);
    for (const AddedTokenFinder::Part& part : normalized_finder.cut(normalized.text, options.parse_special)) {
        if (part.token != nullptr) {
            out.push_back(part.token->id);
            continue;
        }
        NormalizedText piece{.text = normalized.text.substr(part.begin, part.end - part.begin),
                             .at_start = normalized.at_start && part.begin == 0,
                             .max_bytes = max_bytes};
        const Pieces::Span all{0, piece.text.size()};
        encode_pieces({std::move(piece), {all}}, out);
    }
}

void Tokenizer::Impl::encode_pieces(Pieces pieces, std::vector<TokenId>& out) const {
    pre_tokenizer(pieces);
    Bpe::Workspace workspace;
    for (const Pieces::Span& span : pieces.spans) bpe.encode_word(pieces.text(span), workspace, out);
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_checkpoint(const Checkpoint& checkpoint) {
    const bool gguf = checkpoint.kind() == Checkpoint::Kind::gguf;
    const JsonValue& metadata = checkpoint.metadata();
    return Tokenizer(std::make_unique<Impl>(gguf ? spec_from_gguf(metadata) : spec_from_hugging_face(metadata)));
}

Tokenizer Tokenizer::from_bytes(std::span<const std::byte> bytes) {
    return Tokenizer(std::make_unique<Impl>(spec_from_bytes(bytes)));
}

std::vector<std::byte> Tokenizer::to_bytes() const {
    return spec_to_bytes(impl_->spec);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    if (text.size() >= max_text_bytes) {
        fail(Status::invalid_argument, "tokenizer: a text of less than %zu bytes expected, %zu found", max_text_bytes,
             text.size());
    }
    const std::string valid = valid_utf8(text);
    const PostProcessor& around = impl_->post_processor;
    std::vector<TokenId> out;
    if (options.add_special) out = around.before;
    for (const AddedTokenFinder::Part& part : impl_->raw_finder.cut(valid, options.parse_special)) {
        if (part.token != nullptr) {
            out.push_back(part.token->id);
        } else {
            const std::string_view stretch = std::string_view(valid).substr(part.begin, part.end - part.begin);
            impl_->encode_stretch(stretch, part.begin == 0, options, out);
        }
    }
    if (options.add_special) out.insert(out.end(), around.after.begin(), around.after.end());
    return out;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
    DecodedText decoded;
    decoded.tokens.reserve(ids.size());
    for (const TokenId id : ids) {
        const auto found = impl_->added.find(id);
        const bool is_added = found != impl_->added.end();
        if (skip_special && is_added && found->second.token->special) continue;
        const std::string_view text =
            is_added ? std::string_view(found->second.decoded) : impl_->spec.vocabulary.text(id);
        if (!text.empty()) decoded.tokens.emplace_back(text);
    }
    decoded.max_bytes = growth_limit(count_bytes(decoded));
    impl_->decoder(decoded);
    check_growth(decoded);
    std::string out;
    for (const std::string& token : decoded.tokens) out += token;
    return out;
}

size_t Tokenizer::vocab_size() const {
    return impl_->vocab_size;
}

std::string_view Tokenizer::token_text(TokenId id) const {
    const auto found = impl_->added.find(id);
    return found != impl_->added.end() ? std::string_view(found->second.token->content)
                                       : impl_->spec.vocabulary.text(id);
}

TokenId Tokenizer::find_token(std::string_view text) const {
    const auto found = impl_->added_ids.find(text);
    return found != impl_->added_ids.end() ? found->second : impl_->spec.vocabulary.find(text);
}

bool Tokenizer::is_special(TokenId id) const {
    const auto found = impl_->added.find(id);
    return found != impl_->added.end() && found->second.token->special;
}

TokenId Tokenizer::bos() const {
    return impl_->spec.bos;
}

TokenId Tokenizer::eos() const {
    return impl_->spec.eos;
}

bool Tokenizer::adds_bos() const {
    const std::vector<TokenId>& before = impl_->post_processor.before;
    return impl_->spec.bos >= 0 && std::find(before.begin(), before.end(), impl_->spec.bos) != before.end();
}

}  // namespace gq
