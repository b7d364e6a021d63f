// The registry of architectures, and which of them a checkpoint asks for. See arch.h.
// In: registry.inc, which the build writes from the names of arch_X.cpp; a checkpoint's metadata. Out: an Arch, or an
// error with the names that are known. Must not know what any of them does.
#include "core/model/arch.h"

#include <algorithm>
#include <vector>

#include "core/base/names.h"
#include "core/base/status.h"

namespace gq {

#define GQ_ARCH(name) extern const Arch name;
#include "registry.inc"
#undef GQ_ARCH

namespace {

const Arch* const registered[] = {
#define GQ_ARCH(name) &name,
#include "registry.inc"
#undef GQ_ARCH
};

bool holds(std::span<const char* const> names, std::string_view name) {
    return std::any_of(names.begin(), names.end(), [&](const char* known) { return name == known; });
}

std::string known_names(std::span<const char* const> (*names)(const Arch&)) {
    std::vector<const char*> list;
    for (const Arch* arch : registered)
        for (const char* name : names(*arch)) list.push_back(name);
    return join_names(list, [](const char* name) { return name; });
}

}  // namespace

std::span<const Arch* const> all_archs() {
    return registered;
}

const Arch* find_arch(std::string_view name) {
    for (const Arch* arch : registered)
        if (name == arch->name) return arch;
    return nullptr;
}

const Arch& arch_of(const Checkpoint& checkpoint) {
    const JsonValue& metadata = checkpoint.metadata();
    const bool gguf = checkpoint.kind() == Checkpoint::Kind::gguf;
    const auto names = gguf ? [](const Arch& arch) { return arch.gguf_names; }
                            : [](const Arch& arch) { return arch.hugging_face_classes; };
    std::string found;
    if (gguf) {
        found = metadata.at("general.architecture", "GGUF metadata").as_string("general.architecture");
    } else {
        const JsonValue& classes = metadata.at("config", "checkpoint folder").at("architectures", "config.json");
        for (const JsonValue& name : classes.as_array("config.json architectures")) {
            found = name.as_string("config.json architectures");
            break;
        }
    }
    for (const Arch* arch : registered)
        if (holds(names(*arch), found)) return *arch;
    fail(Status::unsupported, "%s: architecture '%s' is not supported; known: %s", checkpoint.path().c_str(),
         found.c_str(), known_names(names).c_str());
}

}  // namespace gq
