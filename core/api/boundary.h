// Where C callers and C++ meet: exceptions become status numbers, texts become caller's buffers, option structs are
// checked. In: a callable. Out: gq_status; the message waits in gq_last_error(). Must not know what the calls do.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "core/api/gq.h"
#include "core/base/status.h"

namespace gq {

gq_status remember_error(gq_status status, const char* message);
gq_status status_of_current_exception();

// Runs body; no exception leaves.
template <class Body>
gq_status guarded(const Body& body) {
    try {
        return body();
    } catch (...) {
        return status_of_current_exception();
    }
}

template <class T>
void require(const T* pointer, const char* name) {
    if (!pointer) fail(Status::invalid_argument, "%s: expected a pointer, found NULL", name);
}

// The caller's options, or the defaults; the size must be one that this version knows.
template <class Options>
Options options_or_defaults(const Options* options, const Options& defaults, const char* name) {
    if (!options) return defaults;
    if (options->struct_size != sizeof(Options))
        fail(Status::invalid_argument, "%s.struct_size: expected %zu, found %zu", name, sizeof(Options),
             options->struct_size);
    return *options;
}

// Refuses ill-formed UTF-8 with the offset and value of the first byte that is part of no character.
void require_utf8(std::string_view text, const std::string& name);

// Buffer rules of gq.h.
gq_status copy_out(std::string_view text, char* buffer, size_t* size);

}  // namespace gq
