// Fuzzes tokenizers: the first byte says whether the rest is the compact form, a tokenizer.json or the metadata of a
// GGUF file as JSON. In: bytes. Out: nothing, FormatError or Error. What is accepted must encode and decode, stream the
// same text where it is well-formed, and come back from its compact form with the same ids.
#include <string>

#include "core/base/status.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_spec.h"
#include "formats/format_error.h"
#include "tests/metadata_only.h"

namespace {

using namespace gq;

using test::MetadataOnly;

Tokenizer load(uint8_t kind, std::string_view bytes) {
    if (kind % 3 == 0) return Tokenizer::from_bytes(std::as_bytes(std::span(bytes)));
    JsonValue json = parse_json(bytes, "fuzz");
    if (kind % 3 == 1) return Tokenizer::from_checkpoint(MetadataOnly(Checkpoint::Kind::gguf, std::move(json)));
    JsonValue folder;
    folder.set("tokenizer", std::move(json));
    return Tokenizer::from_checkpoint(MetadataOnly(Checkpoint::Kind::hugging_face, std::move(folder)));
}

void use(const Tokenizer& tokenizer, std::string_view text) {
    const std::vector<TokenId> ids = tokenizer.encode(text);
    const std::string decoded = tokenizer.decode(ids);
    StreamDecoder stream(tokenizer);
    for (const TokenId id : ids) stream.push(id);
    stream.finish();
    if (Tokenizer::from_bytes(tokenizer.to_bytes()).encode(text) != ids) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    try {
        const Tokenizer tokenizer = load(data[0], bytes);
        use(tokenizer, "It's 12 <s> <|im_start|>\r\n\n  caf\xC3\xA9 \xF0\x9F\x98\x80 \xFF aaaaaaaa");
        use(tokenizer, bytes.substr(0, 512));
    } catch (const FormatError&) {
    } catch (const Error&) {
    }
    return 0;
}
