// ./quantize: a float checkpoint → a .gq. Progress and losses go to stderr; nothing to stdout.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--output", "-o", "OUT.gq", "", "the file to write"},
    {"--bits", "-b", "N", "4", "bits of a weight: 2, 3, 4, 8; 16 keeps floats"},
    {"--group", "-g", "N|row", "128", "inputs that share a scale: 32, 64, 128, …; row: the whole row"},
    {"--method", "", "gptq|rtn", "gptq", "how weights are rounded"},
    {"--sym", "", "", "", "no zero points"},
    {"--no-act-order", "", "", "", "solve the columns in their own order"},
    {"--calib", "", "FILE", "", "UTF-8 text to calibrate with; without it, the built-in text"},
    {"--calib-windows", "", "N", "32", "windows of calibration text"},
    {"--calib-window", "", "T", "512", "tokens of a window"},
    {"--embed-bits", "", "N", "8", "bits of the embedding and the head"},
    {"--threads", "-t", "N", "0", "threads; 0: physical cores that are free to this process"},
    {"--isa", "", "NAME", "", "scalar, avx2, avx512 or neon; without it, the best this CPU runs"},
    {"--report", "", "FILE", "", "what happened to each tensor, as JSON"},
};

volatile std::sig_atomic_t interrupted = 0;

void print_time(double seconds) {
    std::fprintf(stderr, "%d:%02d", static_cast<int>(seconds) / 60, static_cast<int>(seconds) % 60);
}

int32_t print_progress(const gq_quantize_progress* p, void*) {
    if (!p->tensor) return interrupted;
    std::fprintf(stderr, "[%*d/%d] %-24s", p->n_total >= 100 ? 3 : 2, p->n_done, p->n_total, p->tensor);
    if (p->loss >= 0) std::fprintf(stderr, " loss %.3e  rounding %.3e  damping %g", p->loss, p->rtn_loss, p->damping);
    std::fputs("  ", stderr);
    print_time(p->seconds);
    if (p->seconds_left >= 0) {
        std::fputs(" left ", stderr);
        print_time(p->seconds_left);
    }
    std::fprintf(stderr, "%s%s\n", p->note[0] ? "  " : "", p->note);
    return interrupted;
}

gq_method method_of(const std::string& name) {
    if (name == "gptq") return GQ_METHOD_GPTQ;
    if (name == "rtn") return GQ_METHOD_RTN;
    cli::stop("option '--method' expects gptq or rtn, found '%s'", name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "quantize SRC -o OUT.gq [options]     SRC: a Hugging Face folder or a .gguf",
                              options, 1);
    if (args.words().empty()) cli::stop("a source expected: a Hugging Face folder or a .gguf; --help tells more");
    if (args.text("--output").empty()) cli::stop("option '-o' expected: the .gq file to write");
    gq_quantize_options o;
    gq_quantize_defaults(&o);
    o.bits = args.integer("--bits");
    o.group = args.text("--group") == "row" ? 0 : args.integer("--group");
    if (o.group == 0 && args.text("--group") != "row")
        cli::stop("option '--group' expects a multiple of 32, or row, found '0'");
    o.method = method_of(args.text("--method"));
    o.symmetric = args.has("--sym");
    o.act_order = !args.has("--no-act-order");
    o.embed_bits = args.integer("--embed-bits");
    if (args.has("--calib")) o.calibration_path = args.text("--calib").c_str();
    o.calibration_windows = args.integer("--calib-windows");
    o.calibration_window = args.integer("--calib-window");
    o.n_threads = args.integer("--threads");
    if (args.has("--isa")) o.isa = args.text("--isa").c_str();
    if (args.has("--report")) o.report_path = args.text("--report").c_str();
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error to report, not an end
    cli::check(gq_quantize(args.words()[0].c_str(), args.text("--output").c_str(), &o, print_progress, nullptr));
    std::fprintf(stderr, "wrote %s: %.1f MB, peak memory %.0f MB\n", args.text("--output").c_str(),
                 static_cast<double>(std::filesystem::file_size(args.text("--output"))) / 1e6, cli::peak_memory_mb());
}
