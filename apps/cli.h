// Command lines: one row per option gives its name, default and help; the same rows parse and print.
// In: argc, argv and rows. Out: typed values, or a usage error. Must not know what the options mean.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/api/gq.h"

namespace cli {

struct Option {
    const char* name;      // "--bits"
    const char* alias;     // "-b" or ""
    const char* value;     // how help calls its value ("N"); "" for a flag
    const char* fallback;  // shown by help and returned when absent; "" for none
    const char* help;
};

class Arguments {
  public:
    // Prints help and exits 0 on --help, the version on --version; ends with exit 1 and a message on unknown or incomplete options,
    // and on more positional words than `usage` has room for.
    Arguments(int argc, char** argv, const char* usage, std::span<const Option> options, size_t max_words);

    const std::vector<std::string>& words() const { return words_; }
    bool has(const char* name) const;  // given on the command line
    const std::string& text(const char* name) const;
    int32_t integer(const char* name) const;
    uint64_t natural(const char* name) const;
    float number(const char* name) const;

  private:
    size_t find(const std::string& name) const;
    void print_help(const char* usage) const;

    std::span<const Option> options_;
    std::vector<std::string> values_;
    std::vector<bool> given_;
    std::vector<std::string> words_;
};

// "error: …" on stderr, exit status 1.
[[noreturn]] void stop(const char* format, ...) __attribute__((format(printf, 1, 2)));
// Ends the program with gq_last_error() unless the call went well.
void check(gq_status status);

// Calls fill(buffer, size) as gq.h's buffer rules ask: once for the size, once for the content.
template <class Fill>
std::string filled(const Fill& fill) {
    size_t size = 0;
    const gq_status first = fill(static_cast<char*>(nullptr), &size);
    if (first != GQ_BUFFER_TOO_SMALL) check(first);
    std::string text(size, '\0');
    if (size > 0) check(fill(text.data(), &size));
    return text;
}

double peak_memory_mb();                         // of this process, mapped files included, in 10^6 bytes
std::string read_file(const std::string& path);  // "-" is stdin
std::vector<int32_t> tokenize(const gq_model* model, const std::string& text, bool add_special, bool parse_special);

}  // namespace cli
