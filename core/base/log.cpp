// Hands formatted messages to the sink. See log.h.
// In: a format and its arguments, and the sink that was set last. Out: one call of it a message, or none.
// Must not know who listens, and never write by itself.
#include "core/base/log.h"

#include <cstdarg>
#include <cstdio>

namespace gq {
namespace {

LogSink current_sink = nullptr;
void* current_user = nullptr;

}  // namespace

void set_log_sink(LogSink sink, void* user) {
    current_user = user;
    current_sink = sink;
}

void log_message(LogLevel level, const char* format, ...) {
    if (!current_sink) return;
    char text[1024];  // longer messages are cut: a log line is for people
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    current_sink(level, text, current_user);
}

}  // namespace gq
