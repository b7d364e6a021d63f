// Prints the rows of gq_bench_kernels() as they come. See bench_kernels.h.
// In: rows. Out: text on stdout. Must not know what the operations do.
#include "apps/bench_kernels.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "apps/cli.h"

namespace bench_kernels {
namespace {

constexpr double seconds_per_row = 0.25;

std::string tokens_of(const gq_kernel_rate& rate) {
    return rate.n_tokens > 0 ? std::to_string(rate.n_tokens) : "-";
}

int32_t print_row(const gq_kernel_rate* rate, void* user) {
    std::string& missing = *static_cast<std::string*>(user);
    if (!rate->can_run) {
        if (missing.find(rate->kernel) == std::string::npos) missing += std::string(" ") + rate->kernel;
        return cli::interrupted();
    }
    std::printf("%-14s %-8s %-8s %6s %10.1f %10.2f %8.1f  G%s/s", rate->operation, rate->isa,
                rate->codes ? rate->codes : "-", tokens_of(*rate).c_str(), rate->rate / 1e9, rate->scalar / 1e9,
                rate->rate / rate->scalar, rate->unit);
    if (rate->limit > 0)
        std::printf("%*.1f %8.0f", rate->unit[0] == 'B' ? 11 : 10, rate->limit / 1e9, 100 * rate->rate / rate->limit);
    std::fputc('\n', stdout);
    return std::fflush(stdout) != 0 || cli::interrupted();
}

int32_t print_object(const gq_kernel_rate* rate, void* user) {
    bool& has_rows = *static_cast<bool*>(user);
    std::printf("%s\n  {\"kernel\": \"%s\", \"operation\": \"%s\", \"isa\": \"%s\", \"codes\": ", has_rows ? "," : "",
                rate->kernel, rate->operation, rate->isa);
    has_rows = true;
    std::printf(rate->codes ? "\"%s\"" : "null", rate->codes);
    std::printf(
        ", \"tokens\": %d, \"can_run\": %s, \"unit\": \"%s\", \"per_second\": %.0f, \"scalar_per_second\": %.0f, "
        "\"limit_per_second\": %.0f}",
        rate->n_tokens, rate->can_run ? "true" : "false", rate->unit, rate->rate, rate->scalar, rate->limit);
    return std::fflush(stdout) != 0 || cli::interrupted();
}

void walk(gq_kernel_callback callback, void* user) {
    cli::catch_interrupt();
    const gq_status status = gq_bench_kernels(seconds_per_row, callback, user);
    if (status == GQ_CANCELLED && cli::interrupted()) std::exit(cli::exit_interrupted());
    if (status != GQ_CANCELLED) cli::check(status);  // stdout took no more: flush_output() says why
}

}  // namespace

void print_table() {
    std::printf("%-14s %-8s %-8s %6s %10s %10s %8s  %-5s %10s %8s\n", "kernel", "isa", "codes", "tokens", "rate",
                "scalar", "ratio", "unit", "limit", "% limit");
    std::string missing;
    walk(print_row, &missing);
    if (!missing.empty()) std::printf("not on this CPU:%s\n", missing.c_str());
    std::printf(
        "one thread, best of short runs. gemv: weights streamed from memory, limit: reading it; gemm: limit: "
        "multiply-adds\nin registers (a multiply-add is two operations); others: what is read and written, from "
        "cache\n");
}

void print_json() {
    std::printf("{\"kernels\": [");
    bool has_rows = false;
    walk(print_object, &has_rows);
    std::printf("\n]}\n");
}

}  // namespace bench_kernels
