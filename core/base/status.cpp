// Formats the message of an Error. See status.h.
// In: a Status, a format and its arguments. Out: an exception, its message of any length.
// Must not know who catches it, nor the error of formats/.
#include "core/base/status.h"

#include <cstdarg>
#include <cstdio>
#include <vector>

namespace gq {

void fail(Status status, const char* format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = std::vsnprintf(nullptr, 0, format, args);
    std::vector<char> text(static_cast<size_t>(length < 0 ? 0 : length) + 1);
    std::vsnprintf(text.data(), text.size(), format, again);
    va_end(again);
    va_end(args);
    throw Error(status, text.data());
}

}  // namespace gq
