// The compact form of a tokenizer inside a .gq file, as formats/gq_file.md specifies it ("The tokenizer"). Numbers are
// varints (7 bits a byte, low bits first, bit 7: more follow) but where noted.
//
//   "gqtk" 01                              magic, version 1
//   n_tokens  { n_bytes  text }…           the vocabulary in the order of ids; an id without a text has 0 bytes
//   n_merges  { left  right }…             ids, the best merge first
//   n_scores  { float32, little-endian }…  none or n_tokens
//   n_bytes   settings                     JSON in UTF-8: settings_of() in tokenizer_settings.cpp
//   end of the bytes
//
// In: bytes ↔ TokenizerSpec. Every count is held against the bytes that are left before it is used. Must not know what
// a spec means.
#include <algorithm>
#include <bit>
#include <cstring>

#include "core/text/tokenizer_spec.h"
#include "formats/format_error.h"

namespace gq {

namespace {

constexpr std::string_view magic = "gqtk\x01";

class Writer {
  public:
    void raw(std::string_view bytes) {
        const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
        out_.insert(out_.end(), begin, begin + bytes.size());
    }
    void number(size_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<std::byte>(value | 0x80));
        out_.push_back(static_cast<std::byte>(value));
    }
    void text(std::string_view bytes) {
        number(bytes.size());
        raw(bytes);
    }
    void score(float value) {
        const uint32_t bits = std::bit_cast<uint32_t>(value);
        for (unsigned shift = 0; shift < 32; shift += 8) out_.push_back(static_cast<std::byte>(bits >> shift));
    }
    std::vector<std::byte> take() { return std::move(out_); }

  private:
    std::vector<std::byte> out_;
};

class Reader {
  public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::string_view raw(size_t n, const char* what) {
        if (n > left()) refuse(what, n);
        const std::string_view out(reinterpret_cast<const char*>(bytes_.data()) + at_, n);
        at_ += n;
        return out;
    }
    size_t number(const char* what) {
        size_t value = 0;
        for (unsigned shift = 0; shift < 35; shift += 7) {
            const auto byte = static_cast<uint8_t>(raw(1, what)[0]);
            value |= static_cast<size_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        format_fail(FormatError::Kind::malformed,
                    "tokenizer section: %s: a number of at most 5 bytes expected before byte %zu", what, at_);
    }
    // A count of things that take at least item_bytes each.
    size_t count(const char* what, size_t item_bytes) {
        const size_t n = number(what);
        if (n > left() / item_bytes) refuse(what, n);
        return n;
    }
    std::string_view text(const char* what) { return raw(number(what), what); }
    TokenId token(size_t n_tokens, const char* what) {
        const size_t id = number(what);
        if (id >= n_tokens) refuse(what, id);
        return static_cast<TokenId>(id);
    }
    float score() {
        uint32_t bits = 0;
        for (const char byte : raw(4, "scores"))
            bits = bits >> 8 | static_cast<uint32_t>(static_cast<uint8_t>(byte)) << 24;
        return std::bit_cast<float>(bits);
    }
    size_t left() const { return bytes_.size() - at_; }
    void expect_end() const {
        if (left() != 0) refuse("end", left());
    }

  private:
    [[noreturn]] void refuse(const char* what, size_t value) const {
        format_fail(FormatError::Kind::malformed,
                    "tokenizer section: %s: %zu found at byte %zu of %zu, which cannot be", what, value, at_,
                    bytes_.size());
    }

    std::span<const std::byte> bytes_;
    size_t at_ = 0;
};

}  // namespace

std::vector<std::byte> spec_to_bytes(const TokenizerSpec& spec) {
    Writer out;
    out.raw(magic);
    out.number(spec.vocabulary.size());
    for (size_t i = 0; i < spec.vocabulary.size(); ++i) out.text(spec.vocabulary.text(static_cast<TokenId>(i)));
    out.number(spec.merges.size());
    for (const auto& [left, right] : spec.merges) {
        out.number(static_cast<size_t>(left));
        out.number(static_cast<size_t>(right));
    }
    out.number(spec.scores.size());
    for (const float score : spec.scores) out.score(score);
    out.text(settings_of(spec).dump());
    return out.take();
}

TokenizerSpec spec_from_bytes(std::span<const std::byte> bytes) {
    Reader in(bytes);
    if (in.raw(std::min(magic.size(), bytes.size()), "magic") != magic) {
        format_fail(FormatError::Kind::malformed, "tokenizer section: \"gqtk\" and version 1 expected at its start");
    }
    TokenizerSpec spec;
    const size_t n_tokens = in.count("number of tokens", 1);
    spec.vocabulary.reserve(std::min(n_tokens, Vocabulary::max_tokens), 0);
    for (size_t i = 0; i < n_tokens; ++i) spec.vocabulary.add(in.text("token"));
    const size_t n_merges = in.count("number of merges", 2);
    spec.merges.reserve(n_merges);
    for (size_t i = 0; i < n_merges; ++i) {
        const TokenId left = in.token(n_tokens, "left token of a merge");
        spec.merges.emplace_back(left, in.token(n_tokens, "right token of a merge"));
    }
    const size_t n_scores = in.count("number of scores", sizeof(float));
    spec.scores.reserve(n_scores);
    for (size_t i = 0; i < n_scores; ++i) spec.scores.push_back(in.score());
    const std::string_view settings = in.text("settings");
    in.expect_end();
    read_settings(parse_json(settings, "tokenizer section"), spec);
    return spec;
}

}  // namespace gq
