// ./bench: prompt and decode speed of a .gq, beside the machine's read bandwidth measured in the same run.
// In: a model, sizes, thread counts. Out: a table or JSON on stdout. Must not know kernels or how bandwidth is probed:
// gq.h gives both.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--prompt", "-p", "N", "128", "tokens of the prompt"},
    {"--n-predict", "-n", "N", "32", "tokens to decode"},
    {"--threads", "-t", "LIST", "",
     "thread counts, with commas (default: the physical cores that are free to this process)"},
    {"--repeat", "-r", "N", "5", "repetitions; the median is shown"},
    cli::cache_type_k_option,
    cli::cache_type_v_option,
    cli::kv_option,
    cli::activations_option,
    cli::exact_option,
    cli::isa_option,
    {"--json", "", "", "", "JSON instead of a table"},
};

constexpr size_t warm_up = 8;  // tokens of a first pass, which touches the weights once

struct Result {
    int32_t threads;
    std::string isa;
    double prompt, prompt_spread, decode, decode_spread;  // tokens per second: median, and half the range
    double bandwidth;                                     // bytes per second of plain reading

    double streamed(const gq_model_info& info) const { return decode * static_cast<double>(info.streamed_bytes); }
    double percent_of_read(const gq_model_info& info) const { return streamed(info) / bandwidth * 100; }
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

double half_range(const std::vector<double>& values) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return (*high - *low) / 2;
}

double seconds_of(gq_session* session, size_t n, bool one_by_one) {
    const auto start = std::chrono::steady_clock::now();
    size_t position = gq_sequence_length(session, 0);
    std::vector<gq_batch_row> rows;
    for (size_t i = 0; i < n; ++i, ++position) {
        rows.push_back(
            {0, static_cast<int32_t>(position), static_cast<int32_t>(position % 97 + 3), one_by_one || i + 1 == n});
        if (!one_by_one && i + 1 < n) continue;
        cli::check(gq_decode(session, rows.data(), rows.size()));
        rows.clear();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result measure(const gq_model* model, const cli::Arguments& args, int32_t threads) {
    const size_t n_prompt = static_cast<size_t>(args.natural("--prompt")),
                 n_decode = static_cast<size_t>(args.natural("--n-predict"));
    const gq_session_options o =
        cli::session_options(args, static_cast<int32_t>(std::max(n_prompt + n_decode, warm_up)), threads);
    gq_session* session = nullptr;
    cli::check(gq_session_create(model, &o, &session));
    seconds_of(session, warm_up, false);
    std::vector<double> prompt, decode;
    double bandwidth = 0;
    for (uint64_t r = 0; r < args.natural("--repeat"); ++r) {
        cli::check(gq_sequence_truncate(session, 0, 0));
        if (n_prompt > 0) prompt.push_back(static_cast<double>(n_prompt) / seconds_of(session, n_prompt, false));
        if (n_decode > 0) decode.push_back(static_cast<double>(n_decode) / seconds_of(session, n_decode, true));
        double seen = 0;
        cli::check(gq_probe_bandwidth(gq_session_threads(session), 0.2, &seen));
        bandwidth = std::max(bandwidth, seen);
    }
    const auto value = [](const std::vector<double>& v, const auto& f) { return v.empty() ? 0 : f(v); };
    const auto spread = [](const std::vector<double>& v) { return half_range(v); };
    Result result{gq_session_threads(session),
                  gq_session_isa(session),
                  value(prompt, median),
                  value(prompt, spread),
                  value(decode, median),
                  value(decode, spread),
                  bandwidth};
    gq_session_free(session);
    return result;
}

std::vector<int32_t> thread_counts(const cli::Arguments& args) {
    if (!args.has("--threads")) return {0};
    std::vector<int32_t> counts;
    const std::string& list = args.text("--threads");
    for (size_t at = 0; at <= list.size();) {
        const size_t comma = std::min(list.find(',', at), list.size());
        const std::string word = list.substr(at, comma - at);
        char* end = nullptr;
        const long n = std::strtol(word.c_str(), &end, 10);
        if (word.empty() || *end != '\0' || n < 1 || n > 1024)
            cli::stop("option '--threads' expects counts of 1 … 1024 with commas, found '%s'", list.c_str());
        counts.push_back(static_cast<int32_t>(n));
        at = comma + 1;
    }
    return counts;
}

void print_table(const std::vector<Result>& results, const gq_model_info& info) {
    std::printf("%-8s %-8s %18s %18s %10s %10s %8s\n", "threads", "kernels", "prompt tok/s", "decode tok/s", "GB/s",
                "read GB/s", "% read");
    for (const Result& r : results) {
        std::printf("%-8d %-8s %10.1f +- %4.1f %10.1f +- %4.1f %10.1f %10.1f %8.0f\n", r.threads, r.isa.c_str(),
                    r.prompt, r.prompt_spread, r.decode, r.decode_spread, r.streamed(info) / 1e9, r.bandwidth / 1e9,
                    r.percent_of_read(info));
    }
}

void print_json(const std::vector<Result>& results, const gq_model_info& info) {
    std::printf("{\"file_bytes\": %llu, \"streamed_bytes\": %llu, \"results\": [",
                static_cast<unsigned long long>(info.file_bytes), static_cast<unsigned long long>(info.streamed_bytes));
    for (size_t i = 0; i < results.size(); ++i) {
        const Result& r = results[i];
        std::printf(
            "%s\n  {\"threads\": %d, \"isa\": \"%s\", \"prompt_tokens_per_second\": %.2f, \"prompt_spread\": %.2f, "
            "\"decode_tokens_per_second\": %.2f, \"decode_spread\": %.2f, \"decode_bytes_per_second\": %.0f, "
            "\"read_bytes_per_second\": %.0f, \"percent_of_read\": %.1f}",
            i ? "," : "", r.threads, r.isa.c_str(), r.prompt, r.prompt_spread, r.decode, r.decode_spread,
            r.streamed(info), r.bandwidth, r.percent_of_read(info));
    }
    std::printf("\n]}\n");
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "bench MODEL.gq [options]", options, 1);
    if (args.words().empty()) cli::stop("a model expected: a .gq file; --help tells more");
    if (args.natural("--repeat") < 1) cli::stop("option '--repeat' expects at least 1, found 0");
    if (args.natural("--prompt") == 0 && args.natural("--n-predict") == 0)
        cli::stop("option '--prompt' or '--n-predict' expects at least 1, found 0 for both: nothing to measure");
    constexpr int most_tokens = 1 << 24;
    if (args.natural("--prompt") > most_tokens || args.natural("--n-predict") > most_tokens)
        cli::stop("options '-p' and '-n': at most %d tokens expected", most_tokens);
    gq_model* model = nullptr;
    cli::check(gq_model_open(args.words()[0].c_str(), nullptr, &model));
    gq_model_info info{};
    info.struct_size = sizeof info;
    cli::check(gq_model_get_info(model, &info));
    std::vector<Result> results;
    for (const int32_t threads : thread_counts(args)) results.push_back(measure(model, args, threads));
    if (args.has("--json")) {
        print_json(results, info);
    } else {
        print_table(results, info);
    }
    cli::flush_output();
    gq_model_free(model);
}
