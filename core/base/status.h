// The error of core/: a status number that gq.h shows to callers, and a sentence for people.
// In: what was expected, what was found, where. Out: an exception that core/api turns into a gq_status.
// Must not know who catches it. Files report formats/format_error.h instead; both are caught at core/api only.
#pragma once

#include <stdexcept>
#include <string>

namespace gq {

enum class Status {
    ok = 0,
    invalid_argument,  // the caller passed something that can never work
    bad_file,          // a file is truncated, altered or contradicts itself
    unsupported,       // well-formed, but not something this version can do
    io,                // the operating system refused to read or write
    out_of_memory,
    context_full,  // a sequence would grow past the session's context
    cancelled,     // a callback asked to stop
    numeric,       // a computation left the finite numbers or met a failed pivot
    internal,      // a promise inside the library was broken: a defect of gq
};

class Error : public std::runtime_error {
  public:
    Error(Status status, const std::string& message) : std::runtime_error(message), status_(status) {}
    Status status() const { return status_; }

  private:
    Status status_;
};

// Runs work; what an Error of it says is said of `name`.
template <class Work>
decltype(auto) naming(const std::string& name, const Work& work) {
    try {
        return work();
    } catch (const Error& error) {
        throw Error(error.status(), name + ": " + error.what());
    }
}

// Throws Error with a formatted message.
[[noreturn]] void fail(Status status, const char* format, ...) __attribute__((format(__printf__, 2, 3)));

}  // namespace gq
