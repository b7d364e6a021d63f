// Where the library's messages go: nowhere, unless somebody set a sink.
// In: a level and a formatted line. Out: a call of the sink.
// Must not know stderr or files.
#pragma once

namespace gq {

enum class LogLevel { debug = 0, info = 1, warning = 2, error = 3 };

using LogSink = void (*)(LogLevel level, const char* message, void* user);

// Process-wide; a null sink silences. Threads may log while no other thread sets the sink.
void set_log_sink(LogSink sink, void* user);

// One line, without a newline at its end. Costs nothing but a branch while no sink is set.
void log_message(LogLevel level, const char* format, ...) __attribute__((format(__printf__, 2, 3)));

}  // namespace gq
