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

// Rows that several tools share; session_options() reads them.
inline constexpr Option threads_option = {"--threads", "-t", "N", "",
                                          "threads (default: the physical cores that are free to this process)"};
inline constexpr Option isa_option = {
    "--isa", "", "NAME", "",
    "scalar, avx2, avxvnni, avx512, neon or i8mm (default: GQ_ISA, else the best this CPU runs)"};
inline constexpr Option cache_type_k_option = {"--cache-type-k", "-ctk", "NAME", "",
                                               "type of the cache of keys: f32, f16, q8 or q4 (default: --kv)"};
inline constexpr Option cache_type_v_option = {"--cache-type-v", "-ctv", "NAME", "", "the same of values"};
inline constexpr Option kv_option = {"--kv", "", "NAME", "f16", "both of these"};
inline constexpr Option activations_option = {
    "--activations", "", "NAME", "block",
    "int8 with a scale for each block of 32 inputs, token, or group of the weights, token-asym, group-asym; or exact"};
inline constexpr Option exact_option = {"--exact", "", "", "",
                                        "--activations exact: f32 instead of int8, slower, for comparison"};
inline constexpr Option no_mmap_option = {"--no-mmap", "", "", "",
                                          "read the file into memory of its own instead of mapping it"};
inline constexpr Option mlock_option = {"--mlock", "", "", "",
                                        "keep the file's bytes in memory; a warning where the system refuses"};

class Arguments {
  public:
    // Prints help and exits 0 on --help, the version on --version; ends with exit 1 and a message on unknown or
    // incomplete options, and on more positional words than `usage` has room for.
    Arguments(int argc, char** argv, const char* usage, std::span<const Option> options, size_t max_words);

    const std::vector<std::string>& words() const { return words_; }
    bool has(const char* name) const;  // given on the command line
    const std::string& text(const char* name) const;
    int32_t integer(const char* name) const;
    int32_t integer_or(const char* name, int32_t absent) const;
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

// Options of a session from the rows above (--threads is the caller's business: ./bench takes a list).
gq_session_options session_options(const Arguments& args, int32_t context, int32_t n_threads);

// Opens the .gq as --no-mmap and --mlock ask for; what the library has to say about it goes to stderr.
gq_model* open_model(const Arguments& args, const std::string& path, bool verify = false);

// The value of --activations, which --exact is short for.
const char* activations_of(const Arguments& args);
// The value of --isa, or NULL where it is absent.
const char* isa_of(const Arguments& args);
// Tells on stderr of a context longer than the one that the model was trained for; stops where no model could have it.
void check_context(int32_t context, const gq_model_info& info);

// Prints the library's messages to stderr from here on.
void show_log();
// From here on Ctrl-C, SIGTERM and SIGHUP only set interrupted(); a second one ends the process.
void catch_interrupt();
bool interrupted();
int exit_interrupted();  // what shells expect then: 128 and the signal's number; 130 for Ctrl-C

// Ends the program with an error where stdout did not take what was printed. The last act of a tool that prints there.
void flush_output();

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
// `where` is what an error calls the text: a file's name, "prompt".
std::vector<int32_t> tokenize(const gq_model* model, const std::string& text, const std::string& where,
                              bool add_special, bool parse_special);

}  // namespace cli
