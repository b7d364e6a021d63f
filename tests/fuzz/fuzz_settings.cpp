// Fuzzes what is read from JSON about a model: the first byte says whether the rest is a config.json, a GGUF file's
// metadata as JSON, or a .gq's section 'model' or 'generation'. In: bytes. Out: nothing, FormatError or Error.
// Hyper-parameters that are accepted must come back from JSON as they were and build a network.
#include <string>

#include "core/base/status.h"
#include "core/model/arch.h"
#include "core/model/generation_settings.h"
#include "formats/format_error.h"
#include "tests/metadata_only.h"

namespace {

using namespace gq;
using test::MetadataOnly;

// A network of many layers has as many lists of steps: enough of them to see what building does.
constexpr size_t most_layers = 64;

void use(const HyperParams& params) {
    const std::string text = params.to_json();
    if (HyperParams::from_json(text, "dump").to_json() != text) __builtin_trap();
    const Arch* arch = find_arch(params.arch);
    if (!arch || params.n_layers > most_layers) return;
    if (arch->build(params).blocks.size() != params.n_layers) __builtin_trap();
}

void use_checkpoint(Checkpoint::Kind kind, JsonValue metadata) {
    const MetadataOnly checkpoint(kind, std::move(metadata));
    const Arch& arch = arch_of(checkpoint);
    if (kind == Checkpoint::Kind::gguf) return use(arch.read_gguf(checkpoint));
    use(arch.read_hugging_face(checkpoint.metadata().at("config", "fuzz")));
}

void read(uint8_t kind, std::string_view text) {
    if (kind % 4 == 0) {
        JsonValue folder;
        folder.set("config", parse_json(text, "fuzz"));
        use_checkpoint(Checkpoint::Kind::hugging_face, std::move(folder));
    } else if (kind % 4 == 1) {
        use_checkpoint(Checkpoint::Kind::gguf, parse_json(text, "fuzz"));
    } else if (kind % 4 == 2) {
        use(HyperParams::from_json(text, "fuzz"));
    } else {
        const std::string json = GenerationSettings::from_json(text, "fuzz").to_json();
        if (GenerationSettings::from_json(json, "dump").to_json() != json) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        read(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
    } catch (const FormatError&) {
    } catch (const Error&) {
    }
    return 0;
}
