// Parses command lines by rows, and does what all tools do at their ends: messages, signals, streams. See cli.h.
// In: argc, argv, rows; the process's own streams and signals. Out: typed values, or a message and exit status 1.
// Must not know what any option means.
#include "apps/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cli {

void stop(const char* format, ...) {
    std::fflush(stdout);
    std::fputs("error: ", stderr);
    va_list args;
    va_start(args, format);
    std::vfprintf(stderr, format, args);
    va_end(args);
    std::fputc('\n', stderr);
    std::exit(1);
}

void check(gq_status status) {
    if (status != GQ_OK) stop("%s [%s]", gq_last_error(), gq_status_name(status));
}

namespace {

// A closed standard stream would give its number to the next file, and what is printed would go there. Its stand-in
// refuses what the stream is for, so that a text is neither read from nowhere nor lost; messages alone may be.
void open_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        [[maybe_unused]] const int lowest_free = open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
    }
}

// A mapped file that another process cut short can't be read on; that is an error, not a crash.
void report_bus_error(int) {
    constexpr char message[] = "error: a file became shorter while it was being read\n";
    [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, message, sizeof message - 1);
    _exit(1);
}

}  // namespace

void flush_output() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) stop("stdout: can't be written: %s", std::strerror(errno));
}

Arguments::Arguments(int argc, char** argv, const char* usage, std::span<const Option> options, size_t max_words)
    : options_(options), given_(options.size(), false) {
    open_standard_streams();
    std::signal(SIGBUS, report_bus_error);
    for (const Option& option : options) values_.emplace_back(option.fallback);
    bool only_words = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (only_words || word == "-" || word[0] != '-') {
            words_.push_back(word);
            continue;
        }
        if (word == "--") {
            only_words = true;
            continue;
        }
        if (word == "--help" || word == "-h") {
            print_help(usage);
            flush_output();
            std::exit(0);
        }
        if (word == "--version") {
            std::printf("gq %s\n", gq_version());
            flush_output();
            std::exit(0);
        }
        const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const size_t index = find(word.substr(0, equals));
        if (index == options.size()) stop("unknown option '%s'; --help lists the known ones", word.c_str());
        given_[index] = true;
        if (options[index].value[0] == '\0') {
            if (equals != std::string::npos) stop("option '%s' takes no value", options[index].name);
            values_[index] = "1";
        } else if (equals != std::string::npos) {
            values_[index] = word.substr(equals + 1);
        } else if (i + 1 < argc) {
            values_[index] = argv[++i];
        } else {
            stop("option '%s' expects a value: %s", word.c_str(), options[index].value);
        }
    }
    if (words_.size() > max_words) stop("unexpected word '%s'; usage: %s", words_[max_words].c_str(), usage);
}

size_t Arguments::find(const std::string& name) const {
    for (size_t i = 0; i < options_.size(); ++i)
        if (name == options_[i].name || (options_[i].alias[0] != '\0' && name == options_[i].alias)) return i;
    return options_.size();
}

void Arguments::print_help(const char* usage) const {
    std::printf("usage: %s\n\n", usage);
    for (const Option& o : options_) {
        std::string left = std::string("  ") + o.name + (o.alias[0] ? std::string(", ") + o.alias : "") +
                           (o.value[0] ? std::string(" ") + o.value : "");
        left.resize(std::max<size_t>(left.size() + 1, 30), ' ');
        std::printf("%s%s%s%s%s\n", left.c_str(), o.help, o.fallback[0] ? " (default " : "", o.fallback,
                    o.fallback[0] ? ")" : "");
    }
    std::printf("  --help, -h                  this text\n  --version                   the version\n");
}

bool Arguments::has(const char* name) const {
    return given_[find(name)];
}

const std::string& Arguments::text(const char* name) const {
    return values_[find(name)];
}

int32_t Arguments::integer(const char* name) const {
    const std::string& value = text(name);
    char* end = nullptr;
    errno = 0;
    const long long number = std::strtoll(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0' || errno != 0 || number < INT32_MIN || number > INT32_MAX)
        stop("option '%s' expects a whole number of at most %d, found '%s'", name, INT32_MAX, value.c_str());
    return static_cast<int32_t>(number);
}

int32_t Arguments::integer_or(const char* name, int32_t absent) const {
    return has(name) ? integer(name) : absent;
}

uint64_t Arguments::natural(const char* name) const {
    const std::string& value = text(name);
    char* end = nullptr;
    errno = 0;
    const unsigned long long number = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || !std::isdigit(static_cast<unsigned char>(value[0])) || *end != '\0' || errno != 0)
        stop("option '%s' expects a whole number of at least 0, found '%s'", name, value.c_str());
    return number;
}

float Arguments::number(const char* name) const {
    const std::string& value = text(name);
    char* end = nullptr;
    const float number = std::strtof(value.c_str(), &end);
    if (value.empty() || *end != '\0' || !std::isfinite(number))
        stop("option '%s' expects a number, found '%s'", name, value.c_str());
    return number;
}

const char* activations_of(const Arguments& args) {
    const std::string& name = args.text("--activations");
    if (!args.has("--exact")) return name.c_str();
    if (args.has("--activations") && name != "exact")
        stop("option '--exact' means '--activations exact', found '--activations %s' beside it", name.c_str());
    return "exact";
}

const char* isa_of(const Arguments& args) {
    if (!args.has("--isa")) return nullptr;
    if (args.text("--isa").empty()) stop("option '--isa' expects a name, found an empty one");
    return args.text("--isa").c_str();
}

gq_session_options session_options(const Arguments& args, int32_t context, int32_t n_threads) {
    gq_session_options o;
    gq_session_defaults(&o);
    o.context = context;
    o.n_threads = n_threads;
    o.activations = activations_of(args);
    const auto cache_type = [&](const char* name) { return args.text(args.has(name) ? name : "--kv").c_str(); };
    o.cache_type_k = cache_type("--cache-type-k");
    o.cache_type_v = cache_type("--cache-type-v");
    o.isa = isa_of(args);
    return o;
}

gq_model* open_model(const Arguments& args, const std::string& path, bool verify) {
    show_log();
    gq_model_options o;
    gq_model_defaults(&o);
    o.verify = verify;
    o.no_mmap = args.has("--no-mmap");
    o.mlock = args.has("--mlock");
    gq_model* model = nullptr;
    check(gq_model_open(path.c_str(), &o, &model));
    return model;
}

void show_log() {
    gq_set_log_callback(
        [](gq_log_level level, const char* message, void*) {
            static constexpr const char* names[] = {"debug", "note", "warning", "error"};
            std::fprintf(stderr, "%s: %s\n", names[level], message);
        },
        nullptr);
}

namespace {

constexpr int signal_base = 128;            // what shells add to a signal's number
volatile std::sig_atomic_t interrupts = 0;  // the signal, once one came

}  // namespace

void catch_interrupt() {
    const auto note = [](int signal) {
        if (interrupts) _exit(signal_base + signal);
        interrupts = signal;
    };
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, note);
}

int exit_interrupted() {
    return signal_base + interrupts;
}

bool interrupted() {
    return interrupts != 0;
}

void check_context(int32_t context, const gq_model_info& info) {
    if (info.most_positions > 0 && context > info.most_positions)
        stop("--ctx: at most %d positions expected, which is all that this model has learned, found %d",
             info.most_positions, context);
    if (context <= info.context_length) return;
    std::fprintf(stderr, "[warning: the model was trained for %d positions; %d may not end well]\n",
                 info.context_length, context);
}

// VmHWM, for getrusage() also counts what the process was before exec.
double peak_memory_mb() {
    std::FILE* status = std::fopen("/proc/self/status", "r");
    if (!status) return 0;
    char line[256];
    unsigned long long kib = 0;
    while (std::fgets(line, sizeof line, status) && std::sscanf(line, "VmHWM: %llu", &kib) != 1) {
    }
    std::fclose(status);
    return static_cast<double>(kib) * 1024 / 1e6;
}

std::string read_file(const std::string& path) {
    std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
    if (!file) stop("%s: can't be opened: %s", path.c_str(), std::strerror(errno));
    constexpr size_t most_bytes = size_t{1} << 30;  // a device or a pipe may never end
    std::string text;
    char part[65536];
    for (size_t n = 0; (n = std::fread(part, 1, sizeof part, file)) > 0;) {
        if (n > most_bytes - text.size()) stop("%s: a text of at most %zu bytes expected", path.c_str(), most_bytes);
        text.append(part, n);
    }
    if (std::ferror(file)) stop("%s: can't be read: %s", path.c_str(), std::strerror(errno));
    if (file != stdin) std::fclose(file);
    return text;
}

std::vector<int32_t> tokenize(const gq_model* model, const std::string& text, const std::string& where,
                              bool add_special, bool parse_special) {
    std::vector<int32_t> tokens(text.size() / 2 + 16);
    size_t n = tokens.size();
    gq_status status = gq_tokenize(model, text.data(), text.size(), add_special, parse_special, tokens.data(), &n);
    tokens.resize(n);
    if (status == GQ_BUFFER_TOO_SMALL)
        status = gq_tokenize(model, text.data(), text.size(), add_special, parse_special, tokens.data(), &n);
    if (status != GQ_OK) stop("%s: %s [%s]", where.c_str(), gq_last_error(), gq_status_name(status));
    return tokens;
}

}  // namespace cli
