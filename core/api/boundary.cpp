// Errors and buffers at the C boundary. See boundary.h.
// In: exceptions of formats/ and core/, strings, buffers of the caller. Out: gq_status with a message; filled buffers.
// Must not know models, and let no exception pass.
#include "core/api/boundary.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "formats/format_error.h"
#include "formats/utf8.h"

namespace gq {
namespace {

thread_local std::string last_error;

// Positions are Status values; gq.h fixes the numbers.
constexpr gq_status numbers[] = {GQ_OK,      GQ_INVALID_ARGUMENT, GQ_BAD_FILE,     GQ_UNSUPPORTED,
                                 GQ_IO,      GQ_OUT_OF_MEMORY,    GQ_CONTEXT_FULL, GQ_CANCELLED,
                                 GQ_NUMERIC, GQ_INTERNAL};

static_assert(std::size(numbers) == static_cast<size_t>(Status::internal) + 1 &&
              numbers[static_cast<size_t>(Status::bad_file)] == GQ_BAD_FILE &&
              numbers[static_cast<size_t>(Status::io)] == GQ_IO &&
              numbers[static_cast<size_t>(Status::context_full)] == GQ_CONTEXT_FULL &&
              numbers[static_cast<size_t>(Status::cancelled)] == GQ_CANCELLED &&
              numbers[static_cast<size_t>(Status::internal)] == GQ_INTERNAL);

gq_status number_of(FormatError::Kind kind) {
    switch (kind) {
        case FormatError::Kind::malformed:
            return GQ_BAD_FILE;
        case FormatError::Kind::unsupported:
            return GQ_UNSUPPORTED;
        case FormatError::Kind::io:
            return GQ_IO;
    }
    return GQ_INTERNAL;
}

}  // namespace

gq_status remember_error(gq_status status, const char* message) {
    try {
        last_error = message;
    } catch (...) {
        last_error.clear();  // no memory left for the words; the number still tells
    }
    return status;
}

gq_status status_of_current_exception() {
    try {
        throw;
    } catch (const Error& error) {
        return remember_error(numbers[static_cast<size_t>(error.status())], error.what());
    } catch (const FormatError& error) {
        return remember_error(number_of(error.kind()), error.what());
    } catch (const std::bad_alloc&) {
        return remember_error(GQ_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        return remember_error(GQ_INTERNAL, error.what());
    } catch (...) {
        return remember_error(GQ_INTERNAL, "unknown exception");
    }
}

void require_utf8(std::string_view text, const std::string& name) {
    for (size_t at = 0, length; at < text.size(); at += length) {
        length = utf8_sequence_bytes(text.substr(at));
        if (length == 0)
            fail(Status::invalid_argument, "%s: expected UTF-8, found byte 0x%02X at offset %zu", name.c_str(),
                 static_cast<unsigned>(static_cast<unsigned char>(text[at])), at);
    }
}

gq_status copy_out(std::string_view text, char* buffer, size_t* size) {
    require(size, "size");
    const size_t capacity = buffer ? *size : 0;
    *size = text.size();
    if (text.size() > capacity)
        return remember_error(GQ_BUFFER_TOO_SMALL, "buffer: too small; the size needed was returned");
    if (buffer && !text.empty()) std::memcpy(buffer, text.data(), text.size());
    if (buffer && text.size() < capacity) buffer[text.size()] = '\0';
    return GQ_OK;
}

}  // namespace gq

extern "C" const char* gq_last_error(void) {
    return gq::last_error.c_str();
}
