// The error of formats/: what was expected, what was found, and where in which file.
// In: a kind and a sentence. Out: an exception that core/api turns into a gq_status. formats/ never aborts and never
// prints.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace gq {

class FormatError : public std::runtime_error {
  public:
    enum class Kind {
        malformed,    // truncated, altered, or contradicting itself
        unsupported,  // well-formed, but a version, type or feature that is not known here
        io,           // the operating system refused; the message ends with its reason
    };
    FormatError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
    Kind kind() const { return kind_; }

  private:
    Kind kind_;
};

// Text of a file made fit for a message: in double quotes, what is not printable as \xNN, cut after 80 bytes. To be
// called as gq::quoted, since argument-dependent look-up also finds std::quoted.
std::string quoted(std::string_view text);

// Throws FormatError with a formatted message.
[[noreturn]] void format_fail(FormatError::Kind kind, const char* format, ...)
    __attribute__((format(__printf__, 2, 3)));

}  // namespace gq
