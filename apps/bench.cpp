// ./bench: prompt and decode speed of a .gq at several depths and thread counts, beside what the machine can do at
// most, measured in the same run; with --kernels the speed of every kernel instead. In: a model, sizes, depths, thread
// counts. Out: tables or JSON on stdout. Must not know kernels or how limits are probed: gq.h gives both.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "apps/bench_kernels.h"
#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--prompt", "-p", "N", "128", "tokens of the prompt"},
    {"--n-predict", "-n", "N", "32", "tokens to decode"},
    {"--depth", "-d", "LIST", "0", "tokens that stand before the prompt, and before what is decoded, with commas"},
    {"--threads", "-t", "LIST", "",
     "thread counts, with commas (default: the physical cores that are free to this process)"},
    {"--repeat", "-r", "N", "5", "repetitions; the median is shown, +- half of the range"},
    {"--kernels", "", "", "", "no model: every kernel alone, beside the scalar one and the machine's limits"},
    cli::cache_type_k_option,
    cli::cache_type_v_option,
    cli::kv_option,
    cli::activations_option,
    cli::exact_option,
    cli::isa_option,
    cli::no_mmap_option,
    cli::mlock_option,
    {"--json", "", "", "", "JSON instead of tables"},
};

constexpr size_t warm_up = 8;             // tokens of a first pass, which touches the weights once
constexpr double probe_seconds = 0.3;     // at least, of each probe of the machine
constexpr uint32_t stem = 0, branch = 1;  // sequences: what stands before; its copy that a measurement goes on with

struct Rate {
    double median = 0, spread = 0;  // tokens per second; spread: half of the range
};

// What was measured at one depth with one count of threads.
struct Result {
    size_t depth = 0;
    Rate prompt, decode;
    double decode_bytes = 0;    // that one decoded token reads: weights, and keys and values, on average
    double prompt_seconds = 0;  // that a prompt's linears take at the machine's peaks
};

struct Run {
    gq_limits limits{};  // with these threads
    int32_t threads = 0;
    std::vector<Result> results;  // by depth

    double streamed(const Result& r) const { return r.decode.median * r.decode_bytes; }
    double percent_of_read(const Result& r) const { return streamed(r) / limits.read_bytes * 100; }
};

struct Sizes {
    size_t prompt, decode, repeat;
    std::vector<int32_t> depths;

    size_t context() const {
        const size_t depth = static_cast<size_t>(*std::max_element(depths.begin(), depths.end()));
        return std::max(depth + std::max(prompt, decode), warm_up);
    }
};

Rate rate_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    return {values[values.size() / 2], (values.back() - values.front()) / 2};
}

double seconds_of(gq_session* session, uint32_t sequence, size_t n, bool one_by_one) {
    const auto start = std::chrono::steady_clock::now();
    size_t position = gq_sequence_length(session, sequence);
    std::vector<gq_batch_row> rows;
    for (size_t i = 0; i < n; ++i, ++position) {
        rows.push_back({sequence, static_cast<int32_t>(position), static_cast<int32_t>(position % 97 + 3),
                        one_by_one || i + 1 == n});
        if (!one_by_one && i + 1 < n) continue;
        cli::check(gq_decode(session, rows.data(), rows.size()));
        rows.clear();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// n tokens after the first `depth` of the stem.
double rate_at(gq_session* session, size_t depth, size_t n, bool one_by_one) {
    cli::check(gq_sequence_truncate(session, branch, 0));
    cli::check(gq_sequence_fork(session, stem, branch));
    cli::check(gq_sequence_truncate(session, branch, depth));
    const double seconds = seconds_of(session, branch, n, one_by_one);
    cli::check(gq_sequence_truncate(session, branch, 0));
    return static_cast<double>(n) / seconds;
}

// The best so far of what the machine can do.
void probe(const char* isa, int32_t threads, gq_limits& best) {
    gq_limits seen{};
    seen.struct_size = sizeof seen;
    cli::check(gq_probe_limits(isa, threads, probe_seconds, &seen));
    best = {seen.struct_size, seen.isa, std::max(best.read_bytes, seen.read_bytes),
            std::max(best.int8_ops, seen.int8_ops), std::max(best.f32_ops, seen.f32_ops)};
}

gq_token_cost cost_of(const gq_session* session, size_t position, bool want_logits) {
    gq_token_cost cost{};
    cost.struct_size = sizeof cost;
    cli::check(gq_session_token_cost(session, position, want_logits, &cost));
    return cost;
}

// 0 where the peak is not known.
double seconds_at_peak(const gq_token_cost& cost, const gq_limits& limits) {
    const auto seconds = [](uint64_t macs, double ops) { return macs > 0 ? 2 * static_cast<double>(macs) / ops : 0; };
    const double sum = seconds(cost.int8_macs, limits.int8_ops) + seconds(cost.f32_macs, limits.f32_ops);
    return std::isfinite(sum) ? sum : 0;
}

void set_limits(const gq_session* session, const Sizes& sizes, const gq_model_info& info, Run& run) {
    for (Result& r : run.results) {
        double kv_bytes = 0;
        for (size_t i = 0; i < sizes.decode; ++i)
            kv_bytes += static_cast<double>(cost_of(session, r.depth + i, true).kv_bytes);
        r.decode_bytes = static_cast<double>(info.streamed_bytes) +
                         (sizes.decode > 0 ? kv_bytes / static_cast<double>(sizes.decode) : 0);
        const double inner = seconds_at_peak(cost_of(session, r.depth, false), run.limits);
        const double last = seconds_at_peak(cost_of(session, r.depth, true), run.limits);
        r.prompt_seconds = sizes.prompt > 0 ? inner * static_cast<double>(sizes.prompt - 1) + last : 0;
    }
}

// Runs and probes in turn: what else the machine does meets both.
Run measure(const gq_model* model, const cli::Arguments& args, const Sizes& sizes, const gq_model_info& info,
            int32_t threads) {
    constexpr size_t spare = 128;  // positions: the branch has a page of its own where the stem's is not full
    const gq_session_options o = cli::session_options(args, static_cast<int32_t>(sizes.context() + spare), threads);
    gq_session* session = nullptr;
    cli::check(gq_session_create(model, &o, &session));
    seconds_of(session, branch, warm_up, false);
    const size_t deepest = static_cast<size_t>(*std::max_element(sizes.depths.begin(), sizes.depths.end()));
    seconds_of(session, stem, deepest, false);
    Run run;
    run.threads = gq_session_threads(session);
    std::map<size_t, std::vector<double>> prompt, decode;
    for (size_t r = 0; r < sizes.repeat; ++r) {
        for (const int32_t d : sizes.depths) {
            const size_t depth = static_cast<size_t>(d);
            if (sizes.prompt > 0) prompt[depth].push_back(rate_at(session, depth, sizes.prompt, false));
            if (sizes.decode > 0) decode[depth].push_back(rate_at(session, depth, sizes.decode, true));
        }
        probe(o.isa, run.threads, run.limits);
    }
    for (const int32_t d : sizes.depths) {
        const size_t depth = static_cast<size_t>(d);
        run.results.push_back({depth, rate_of(prompt[depth]), rate_of(decode[depth]), 0, 0});
    }
    set_limits(session, sizes, info, run);
    gq_session_free(session);
    return run;
}

// What the machine can do with 1, 2, 4 … threads and those of the runs, whose own probes count too.
std::map<int32_t, gq_limits> limits_of(const std::vector<Run>& runs, const char* isa) {
    std::map<int32_t, gq_limits> limits;
    for (const Run& run : runs) limits[run.threads] = run.limits;
    const int32_t most = limits.rbegin()->first;
    for (int32_t threads = 1; threads < most; threads *= 2)
        if (limits.find(threads) == limits.end()) probe(isa, threads, limits[threads]);
    return limits;
}

// Whole numbers with commas.
std::vector<int32_t> numbers(const cli::Arguments& args, const char* option, int32_t least, int32_t most) {
    std::vector<int32_t> all;
    const std::string& list = args.text(option);
    for (size_t at = 0; at <= list.size();) {
        const size_t comma = std::min(list.find(',', at), list.size());
        const std::string word = list.substr(at, comma - at);
        char* end = nullptr;
        const long n = std::strtol(word.c_str(), &end, 10);
        if (word.empty() || *end != '\0' || n < least || n > most)
            cli::stop("option '%s' expects numbers of %d … %d with commas, found '%s'", option, least, most,
                      list.c_str());
        all.push_back(static_cast<int32_t>(n));
        at = comma + 1;
    }
    return all;
}

double percent_of_peak(const Result& r, const Sizes& sizes) {
    return sizes.prompt > 0 ? 100 * r.prompt_seconds * r.prompt.median / static_cast<double>(sizes.prompt) : 0;
}

// A rate of the machine, or a dash where it is not known.
std::string giga(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value / 1e9);
    return value > 0 ? text : "-";
}

void print_table(const std::vector<Run>& runs, const std::map<int32_t, gq_limits>& limits, const Sizes& sizes) {
    std::printf("%-8s %-8s %12s %12s %14s\n", "threads", "kernels", "read GB/s", "int8 GOP/s", "f32 GFLOP/s");
    for (const auto& [threads, l] : limits)
        std::printf("%-8d %-8s %12s %12s %14s\n", threads, l.isa, giga(l.read_bytes).c_str(), giga(l.int8_ops).c_str(),
                    giga(l.f32_ops).c_str());
    std::printf("\n%-8s %-8s %18s %8s %18s %10s %8s\n", "threads", "depth", "prompt tok/s", "% peak", "decode tok/s",
                "GB/s", "% read");
    for (const Run& run : runs) {
        for (const Result& r : run.results) {
            std::printf("%-8d %-8zu %10.1f +- %4.1f %8.0f %10.1f +- %4.1f %10.1f %8.0f\n", run.threads, r.depth,
                        r.prompt.median, r.prompt.spread, percent_of_peak(r, sizes), r.decode.median, r.decode.spread,
                        run.streamed(r) / 1e9, run.percent_of_read(r));
        }
    }
    std::printf(
        "%% peak: the multiply-adds of the linears alone, attention not among them, at the peak of their numbers\n"
        "%% read: weights, and keys and values at that depth, at the read bandwidth\n");
}

void print_run(const Run& run, const Sizes& sizes, const char*& separator) {
    for (const Result& r : run.results) {
        std::printf(
            "%s\n  {\"threads\": %d, \"isa\": \"%s\", \"depth\": %zu, \"prompt_tokens_per_second\": %.2f, "
            "\"prompt_spread\": %.2f, \"percent_of_peak\": %.1f, \"decode_tokens_per_second\": %.2f, "
            "\"decode_spread\": %.2f, \"decode_bytes_per_second\": %.0f, \"read_bytes_per_second\": %.0f, "
            "\"percent_of_read\": %.1f}",
            separator, run.threads, run.limits.isa, r.depth, r.prompt.median, r.prompt.spread,
            percent_of_peak(r, sizes), r.decode.median, r.decode.spread, run.streamed(r), run.limits.read_bytes,
            run.percent_of_read(r));
        separator = ",";
    }
}

void print_json(const std::vector<Run>& runs, const std::map<int32_t, gq_limits>& limits, const Sizes& sizes,
                const gq_model_info& info) {
    std::printf("{\"file_bytes\": %llu, \"streamed_bytes\": %llu, \"prompt\": %zu, \"decode\": %zu, \"limits\": [",
                static_cast<unsigned long long>(info.file_bytes), static_cast<unsigned long long>(info.streamed_bytes),
                sizes.prompt, sizes.decode);
    const char* separator = "";
    for (const auto& [threads, l] : limits) {
        std::printf(
            "%s\n  {\"threads\": %d, \"isa\": \"%s\", \"read_bytes_per_second\": %.0f, "
            "\"int8_ops_per_second\": %.0f, \"f32_ops_per_second\": %.0f}",
            separator, threads, l.isa, l.read_bytes, l.int8_ops, l.f32_ops);
        separator = ",";
    }
    std::printf("\n], \"results\": [");
    separator = "";
    for (const Run& run : runs) print_run(run, sizes, separator);
    std::printf("\n]}\n");
}

Sizes sizes_of(const cli::Arguments& args) {
    if (args.natural("--repeat") < 1) cli::stop("option '--repeat' expects at least 1, found 0");
    if (args.natural("--prompt") == 0 && args.natural("--n-predict") == 0)
        cli::stop("option '--prompt' or '--n-predict' expects at least 1, found 0 for both: nothing to measure");
    constexpr int most_tokens = 1 << 24;
    for (const char* option : {"--prompt", "--n-predict"})
        if (args.natural(option) > most_tokens)
            cli::stop("option '%s' expects at most %d tokens, found %zu", option, most_tokens, args.natural(option));
    return {args.natural("--prompt"), args.natural("--n-predict"), args.natural("--repeat"),
            numbers(args, "--depth", 0, most_tokens)};
}

void check_depths(const Sizes& sizes, const gq_model_info& info) {
    const size_t tokens = std::max(sizes.prompt, sizes.decode), context = static_cast<size_t>(info.context_length);
    for (const int32_t depth : sizes.depths)
        if ((depth > 0 || info.most_positions > 0) && static_cast<size_t>(depth) + tokens > context)
            cli::stop(
                "option '--depth': at most %zu positions expected, the model's context, found %d and %zu after it",
                context, depth, tokens);
}

void bench_model(const cli::Arguments& args) {
    const Sizes sizes = sizes_of(args);
    std::vector<int32_t> counts = {0};
    if (args.has("--threads")) counts = numbers(args, "--threads", 1, 1024);
    gq_model* model = cli::open_model(args, args.words()[0]);
    gq_model_info info{};
    info.struct_size = sizeof info;
    cli::check(gq_model_get_info(model, &info));
    check_depths(sizes, info);
    std::vector<Run> runs;
    runs.reserve(counts.size());
    for (const int32_t threads : counts) runs.push_back(measure(model, args, sizes, info, threads));
    const std::map<int32_t, gq_limits> limits = limits_of(runs, cli::isa_of(args));
    if (args.has("--json")) {
        print_json(runs, limits, sizes, info);
    } else {
        print_table(runs, limits, sizes);
    }
    gq_model_free(model);
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "bench MODEL.gq [options] | bench --kernels", options, 1);
    if (args.has("--kernels")) {
        for (const cli::Option& option : options)
            if (std::string_view(option.name) != "--kernels" && std::string_view(option.name) != "--json" &&
                args.has(option.name))
                cli::stop("option '%s' is about a model: it can't stand beside '--kernels'", option.name);
        if (!args.words().empty()) cli::stop("no model expected beside '--kernels', found %s", args.words()[0].c_str());
        args.has("--json") ? bench_kernels::print_json() : bench_kernels::print_table();
    } else if (args.words().empty()) {
        cli::stop("a model expected: a .gq file; --help tells more");
    } else {
        bench_model(args);
    }
    cli::flush_output();
}
