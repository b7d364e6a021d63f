// ./quantize: a checkpoint → a .gq.
// In: a path and options. Out: the file; progress and losses on stderr, stdout only for --sensitivity. Must not know
// how weights are rounded: gq.h does.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "apps/cli.h"

namespace {

// The library's defaults hold where an option is absent; the help repeats them for people.
constexpr cli::Option options[] = {
    {"--output", "-o", "OUT.gq", "", "the file to write"},
    {"--bits", "-b", "N", "",
     "bits of a weight: 2, 3, 4, 5, 6, 8; 16 keeps floats, in 16 bits (default: a GGUF's blocks are kept; else 4)"},
    {"--codes", "", "NAME", "", "what a weight stores instead of --bits: table4, one of 16 values (those of IQ4_NL)"},
    {"--size", "", "80M", "", "instead of --bits: the best mixture of widths in a file of at most that many bytes"},
    {"--bpw", "", "X", "", "instead of --bits: the same for at most X bits a weight of the linears"},
    {"--sensitivity", "", "", "", "only measure what rounding each matrix does to the model; -o gets it as JSON"},
    {"--group", "-g", "N|row", "", "inputs that share a scale: 16, 32, 64, 128, …; row: the whole row (default 128)"},
    {"--method", "", "gptq|rtn", "", "how weights are rounded (default gptq)"},
    {"--grid", "", "NAME", "",
     "what a group stores: zero_point, symmetric, offset, k, k_signed (default zero_point; mixtures: offset, k too)"},
    {"--sym", "", "", "", "short for --grid symmetric"},
    {"--recipe", "", "NAME", "",
     "plain, qep, sweeps, rotate, rotate-sweeps, refine: settings for those below (default: the width's own)"},
    {"--best", "", "", "", "try all recipes and keep what is nearest to the float model on text that none has seen"},
    {"--order", "", "NAME", "", "columns are solved in the order column, act (activations) or gar (default act)"},
    {"--no-act-order", "", "", "", "short for --order column"},
    {"--grid-search", "", "NAME", "", "grids span their weights, clip them, or joint: also move zero (default clip)"},
    {"--no-clip", "", "", "", "short for --grid-search span"},
    {"--damping", "", "X|adaptive", "",
     "added to the Hessian's diagonal, a share of its mean; adaptive: by --held-out (default 0.01)"},
    {"--qep", "", "A", "", "weights corrected for what earlier layers changed, share 0 to 1"},
    {"--gptaq", "", "A", "", "the same while solving (default 0)"},
    {"--foem", "", "B", "", "weight of the first-order term, 0 to below 1 (default 0)"},
    {"--sweeps", "", "N", "", "coordinate-descent sweeps over the codes after the solve"},
    {"--refit", "", "", "", "fit the grids to the final codes"},
    {"--rotate", "", "", "", "turn the residual stream and the heads' values by orthogonal matrices first (R1, R2)"},
    {"--lorc", "", "RANK", "", "8-bit correction of low rank beside the weights: 4, 8, 16, … (default 0, none)"},
    {"--lorc-method", "", "eora|lorc", "",
     "errors measured at the outputs or in the weights (default eora; rtn: lorc)"},
    {"--calib", "", "FILE", "",
     "UTF-8 text to calibrate with (default: the built-in text); self: text that the model writes"},
    {"--calib-windows", "", "N", "", "windows of calibration text (default: the recipe's, 32; to refine 64)"},
    {"--calib-window", "", "T", "", "tokens of a window (default 512)"},
    {"--no-true-sequential", "", "", "", "a block's linears are solved for what its floats give them, all at once"},
    {"--distill", "", "EPOCHS", "", "train every block towards the float one, so often over the text"},
    {"--refine", "", "EPOCHS", "", "then train scales, norms and biases of the whole model, so often over the text"},
    {"--held-out", "", "N", "", "windows besides: what loses less on them rounded to nearest is (default 4)"},
    {"--embed-bits", "", "N", "",
     "bits of the embedding and the head, which is solved below 8 (default: as --bits; else 8)"},
    cli::threads_option,
    cli::isa_option,
    {"--judge", "", "N", "",
     "windows besides, to compare the result with the float model on (default 4 with --report, --best; else 0)"},
    {"--report", "", "FILE", "", "what happened to each tensor: a page where FILE ends in .html, otherwise JSON"},
};

using Clock = std::chrono::steady_clock;

constexpr int32_t default_bits = 4;

void print_time(double seconds) {
    std::fprintf(stderr, "%d:%02d", static_cast<int>(seconds) / 60, static_cast<int>(seconds) % 60);
}

// last: when a line was printed, a Clock::time_point. What goes on without a tensor gets one after half a minute.
int32_t print_progress(const gq_quantize_progress* p, void* last) {
    Clock::time_point& told = *static_cast<Clock::time_point*>(last);
    const bool due = p->tensor || (*p->activity != '\0' && Clock::now() - told >= std::chrono::seconds(30));
    if (!due) return cli::interrupted();
    told = Clock::now();
    std::fprintf(stderr, "[%*d/%d] %-24s", p->n_total >= 100 ? 3 : 2, p->n_done, p->n_total,
                 p->tensor ? p->tensor : p->activity);
    if (p->loss >= 0) std::fprintf(stderr, " loss %.3e  rounding %.3e  damping %g", p->loss, p->rtn_loss, p->damping);
    std::fputs("  ", stderr);
    print_time(p->seconds);
    if (p->seconds_left >= 0) {
        std::fputs(" left ", stderr);
        print_time(p->seconds_left);
    }
    std::fputc('\n', stderr);  // a note comes by the log as well
    return cli::interrupted();
}

int32_t print_sensitivity(const gq_quantize_progress* p, void*) {
    if (p->tensor) {
        std::printf("[%*d/%d] %-24s %s\n", p->n_total >= 100 ? 3 : 2, p->n_done, p->n_total, p->tensor, p->note);
    } else if (*p->note != '\0') {
        std::printf("%s\n", p->note);
    }
    return std::fflush(stdout) != 0 || cli::interrupted();  // measures nothing that can't be told
}

gq_method method_of(const std::string& name) {
    if (name == "gptq") return GQ_METHOD_GPTQ;
    if (name == "rtn") return GQ_METHOD_RTN;
    cli::stop("option '--method' expects gptq or rtn, found '%s'", name.c_str());
}

gq_lorc_method lorc_method_of(const std::string& name, int32_t method) {
    if (name == "lorc") return GQ_LORC_LORC;
    if (name != "eora") cli::stop("option '--lorc-method' expects eora or lorc, found '%s'", name.c_str());
    if (method == GQ_METHOD_RTN)
        cli::stop("option '--lorc-method eora' expects --method gptq: rounding to nearest is not calibrated");
    return GQ_LORC_EORA;
}

int32_t group_of(const cli::Arguments& args) {
    if (args.text("--group") == "row") return 0;
    const int32_t group = args.integer("--group");
    if (group == 0) cli::stop("option '--group' expects 16, a multiple of 32, or row, found '0'");
    return group;
}

// 80M, 1.5G, 81000000: powers of 1000, as sizes are printed.
uint64_t bytes_of(const cli::Arguments& args, const char* option) {
    const std::string& text = args.text(option);
    const char* const end = text.data() + text.size();
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<size_t>(end - rest));
    const double factor = unit.empty() || unit == "B" ? 1
                          : unit == "K"               ? 1e3
                          : unit == "M"               ? 1e6
                          : unit == "G"               ? 1e9
                                                      : 0;
    if (error != std::errc() || factor == 0 || !(number * factor >= 1) || number * factor > 1e18)
        cli::stop("option '%s' expects bytes above 0, as 80M or 1.5G, found '%s'", option, text.c_str());
    return static_cast<uint64_t>(number * factor);
}

void refuse_both(const cli::Arguments& args, const char* one, const char* other) {
    if (args.has(one) && args.has(other)) cli::stop("options '%s' and '%s' exclude each other, found both", one, other);
}

// What a target chooses is not asked for beside it.
void set_target(const cli::Arguments& args, gq_quantize_options& o) {
    if (!args.has("--size") && !args.has("--bpw")) return;
    const char* const target = args.has("--size") ? "--size" : "--bpw";
    for (const char* other : {"--bits", "--bpw", "--sensitivity"})
        if (std::strcmp(other, target) != 0) refuse_both(args, target, other);
    if (o.method == GQ_METHOD_RTN)
        cli::stop("option '%s' expects --method gptq, which measures what widths cost", target);
    o.bits = 0;
    if (!args.has("--group")) o.group = -1;
    if (args.has("--bpw")) {
        const std::string& text = args.text("--bpw");  // a double: a float above the number would be above the target
        const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), o.target_bpw);
        if (error != std::errc() || rest != text.data() + text.size() || !(o.target_bpw > 0))
            cli::stop("option '--bpw' expects a number above 0, found '%s'", args.text("--bpw").c_str());
        return;
    }
    o.target_bytes = bytes_of(args, "--size");
}

// An empty path, an unset variable of a shell, means nothing that somebody would ask for.
const char* path_of(const cli::Arguments& args, const char* option) {
    if (args.text(option).empty()) cli::stop("option '%s' expects a path, found an empty one", option);
    return args.text(option).c_str();
}

// A file of that name is ./self.
void set_calibration(const cli::Arguments& args, gq_quantize_options& o) {
    const char* const path = path_of(args, "--calib");
    o.calibration_self = std::strcmp(path, "self") == 0;
    if (!o.calibration_self) o.calibration_path = path;
}

void set_solver_options(const cli::Arguments& args, gq_quantize_options& o) {
    for (const char* option : {"--recipe", "--best", "--order", "--grid-search", "--damping", "--qep", "--gptaq",
                               "--foem", "--sweeps", "--refit", "--held-out", "--no-true-sequential"})
        if (args.has(option) && o.method == GQ_METHOD_RTN)
            cli::stop("option '%s' expects --method gptq: rounding to nearest solves nothing", option);
    if (args.has("--recipe")) o.recipe = args.text("--recipe").c_str();
    if (args.has("--best")) o.recipe = "best";
    refuse_both(args, "--recipe", "--best");
    refuse_both(args, "--order", "--no-act-order");
    refuse_both(args, "--grid-search", "--no-clip");
    if (args.has("--order")) o.order = args.text("--order").c_str();
    if (args.has("--no-act-order")) o.order = "column";
    if (args.has("--grid-search")) o.grid_search = args.text("--grid-search").c_str();
    if (args.has("--no-clip")) o.grid_search = "span";
    o.adaptive_damping = args.text("--damping") == "adaptive";
    if (args.has("--damping") && !o.adaptive_damping) o.damping = args.number("--damping");
    o.held_out_windows = args.integer_or("--held-out", o.held_out_windows);
    if (args.has("--no-true-sequential")) o.true_sequential = 0;
    if (args.has("--qep")) o.qep = args.number("--qep");
    if (args.has("--gptaq")) o.gptaq = args.number("--gptaq");
    if (args.has("--foem")) o.foem = args.number("--foem");
    o.sweeps = args.integer_or("--sweeps", o.sweeps);
    if (args.has("--refit")) o.refit = 1;
}

// Whoever says how to round wants it done, also to blocks of a GGUF and where it is said as the default says it.
bool asks_for_rounding(const cli::Arguments& args) {
    static constexpr const char* others[] = {"--output",     "--bits",    "--size", "--bpw",    "--sensitivity",
                                             "--embed-bits", "--threads", "--isa",  "--report", "--judge"};
    const auto asks = [&](const cli::Option& option) {
        return args.has(option.name) &&
               std::find(std::begin(others), std::end(others), std::string_view(option.name)) == std::end(others);
    };
    return std::any_of(std::begin(options), std::end(options), asks);
}

gq_quantize_options quantize_options(const cli::Arguments& args) {
    gq_quantize_options o;
    gq_quantize_defaults(&o);
    o.bits = args.integer_or("--bits", asks_for_rounding(args) ? default_bits : o.bits);
    if (args.has("--codes")) o.codes = args.text("--codes").c_str();
    if (args.has("--bits") && o.bits == 0) cli::stop("option '--bits' expects 2, 3, 4, 5, 6, 8 or 16, found '0'");
    refuse_both(args, "--codes", "--bits");
    if (args.has("--group")) o.group = group_of(args);
    if (args.has("--method")) o.method = method_of(args.text("--method"));
    refuse_both(args, "--grid", "--sym");
    if (args.has("--grid")) o.grid = args.text("--grid").c_str();
    if (args.has("--sym")) o.grid = "symmetric";
    set_solver_options(args, o);
    if (args.has("--rotate")) o.rotate = 1;
    o.lorc_rank = args.integer_or("--lorc", o.lorc_rank);
    if (args.has("--lorc-method") && o.lorc_rank <= 0) cli::stop("option '--lorc-method' expects '--lorc' beside it");
    if (args.has("--lorc-method")) o.lorc_method = lorc_method_of(args.text("--lorc-method"), o.method);
    o.embed_bits = args.integer_or("--embed-bits", o.embed_bits);
    set_target(args, o);
    if (args.has("--calib")) set_calibration(args, o);
    for (const char* option : {"--calib", "--calib-windows", "--calib-window"})
        if (args.has(option) && o.method == GQ_METHOD_RTN)
            cli::stop("option '%s' expects --method gptq: rounding to nearest is not calibrated", option);
    const bool rounds = o.bits != 16 || (o.embed_bits > 0 && o.embed_bits < 8);  // or only the head, which is solved
    for (const char* option : {"--recipe", "--best", "--calib", "--calib-windows", "--calib-window"})
        if (args.has(option) && !rounds)
            cli::stop("option '%s' expects other '--bits' than 16, which round nothing", option);
    o.calibration_windows = args.integer_or("--calib-windows", o.calibration_windows);
    o.calibration_window = args.integer_or("--calib-window", o.calibration_window);
    o.distill_epochs = args.integer_or("--distill", o.distill_epochs);
    o.refine_epochs = args.integer_or("--refine", o.refine_epochs);
    o.n_threads = args.integer_or("--threads", o.n_threads);
    o.isa = cli::isa_of(args);
    o.judged_windows = args.integer_or("--judge", o.judged_windows);
    if (args.has("--report")) o.report_path = path_of(args, "--report");
    return o;
}

// --report is the walk's; here the only file is -o's.
int measure(const cli::Arguments& args) {
    gq_quantize_options o = quantize_options(args);
    if (args.has("--report")) cli::stop("option '--report' expects no --sensitivity, whose JSON -o gets");
    for (const char* option : {"--bits", "--codes", "--lorc", "--embed-bits"})
        if (args.has(option))
            cli::stop("option '%s' expects no --sensitivity, which measures widths of its own", option);
    for (const char* option : {"--qep", "--gptaq", "--sweeps", "--refit", "--held-out", "--distill", "--refine",
                               "--judge", "--no-true-sequential"})
        if (args.has(option))
            cli::stop("option '%s' expects no --sensitivity, which looks at each matrix alone", option);
    if (args.has("--output")) o.report_path = path_of(args, "--output");
    cli::show_log();
    cli::catch_interrupt();
    const gq_status status = gq_measure_sensitivity(args.words()[0].c_str(), &o, print_sensitivity, nullptr);
    if (status == GQ_CANCELLED && cli::interrupted()) return cli::exit_interrupted();
    cli::flush_output();
    cli::check(status);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "quantize SRC -o OUT.gq [options]     SRC: a Hugging Face folder or a .gguf",
                              options, 1);
    if (args.words().empty()) cli::stop("a source expected: a Hugging Face folder or a .gguf; --help tells more");
    const std::string& output = args.text("--output");
    if (args.has("--sensitivity")) return measure(args);
    if (output.empty()) cli::stop("option '-o' expected: the .gq file to write");
    const gq_quantize_options o = quantize_options(args);
    cli::show_log();
    cli::catch_interrupt();
    std::signal(SIGPIPE, SIG_IGN);  // whoever read the progress may have left; the work goes on
    std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error to report, not an end
    Clock::time_point told = Clock::now();
    const gq_status status = gq_quantize(args.words()[0].c_str(), output.c_str(), &o, print_progress, &told);
    if (status == GQ_CANCELLED && cli::interrupted()) {
        std::fprintf(stderr, "interrupted: %s was not written\n", output.c_str());
        return cli::exit_interrupted();
    }
    cli::check(status);
    std::error_code unknown;  // the file is complete; its size is only for the eye
    const auto bytes = std::filesystem::file_size(output, unknown);
    std::fprintf(stderr, "wrote %s: %.1f MB, peak memory %.0f MB\n", output.c_str(),
                 unknown ? 0 : static_cast<double>(bytes) / 1e6, cli::peak_memory_mb());
}
