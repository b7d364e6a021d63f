// ./perplexity: how well a .gq predicts a text. The last line of stdout is "ppl X.XXXX +- Y.YYYY"; progress goes to
// stderr. The text is tokenized as one string and cut into consecutive windows of --ctx tokens; what is left over is
// not used.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--file", "-f", "TEXT", "", "the text"},
    {"--ctx", "-c", "N", "512", "tokens of a window"},
    {"--chunks", "", "N", "0", "windows at most; 0: all"},
    {"--protocol", "", "NAME", "half-window", "half-window scores positions ctx/2+1 … ctx-1, full-window 1 … ctx-1"},
    cli::exact_option,
    cli::kv_option,
    cli::threads_option,
    cli::isa_option,
};

constexpr size_t rows_at_once = 128;  // bounds the logits that wait to be scored

// Mean and standard error of negative log-likelihoods.
struct Score {
    double sum = 0, squares = 0;
    size_t n = 0;
    void add(double nll) {
        sum += nll;
        squares += nll * nll;
        ++n;
    }
    double ppl() const { return std::exp(sum / static_cast<double>(n)); }
    double error() const {
        const double mean = sum / static_cast<double>(n), count = static_cast<double>(n);
        return n < 2 ? 0 : std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1)) * ppl();
    }
};

double negative_log_likelihood(const float* logits, size_t vocab, int32_t token) {
    float top = logits[0];
    for (size_t i = 1; i < vocab; ++i) top = std::fmax(top, logits[i]);
    double sum = 0;
    for (size_t i = 0; i < vocab; ++i) sum += static_cast<double>(std::exp(logits[i] - top));
    return std::log(sum) + static_cast<double>(top) - static_cast<double>(logits[token]);
}

// Scores the tokens at positions first_scored … ctx-1 of one window.
void score_window(gq_session* session, const int32_t* tokens, size_t ctx, size_t first_scored, size_t vocab,
                  Score& score) {
    for (size_t begin = 0; begin < ctx; begin += rows_at_once) {
        const size_t end = std::min(ctx, begin + rows_at_once);
        std::vector<gq_batch_row> rows;
        for (size_t i = begin; i < end; ++i)
            rows.push_back({0, static_cast<int32_t>(i), tokens[i], i + 1 >= first_scored && i + 1 < ctx});
        cli::check(gq_decode(session, rows.data(), rows.size()));
        size_t index = 0;
        for (const gq_batch_row& row : rows) {
            if (!row.want_logits) continue;
            const float* logits = nullptr;
            cli::check(gq_logits(session, index++, &logits));
            score.add(negative_log_likelihood(logits, vocab, tokens[row.position + 1]));
        }
    }
    cli::check(gq_sequence_truncate(session, 0, 0));
}

size_t first_scored(const std::string& protocol, size_t ctx) {
    if (protocol == "half-window") return ctx / 2 + 1;
    if (protocol == "full-window") return 1;
    cli::stop("option '--protocol' expects half-window or full-window, found '%s'", protocol.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "perplexity MODEL.gq -f TEXT [options]", options, 1);
    if (args.words().empty()) cli::stop("a model expected: a .gq file; --help tells more");
    if (!args.has("--file")) cli::stop("option '-f' expected: the text to score");
    if (args.integer("--ctx") < 4) cli::stop("option '--ctx' expects at least 4, found %d", args.integer("--ctx"));
    const size_t ctx = static_cast<size_t>(args.integer("--ctx")), start = first_scored(args.text("--protocol"), ctx);
    gq_model* model = nullptr;
    cli::check(gq_model_open(args.words()[0].c_str(), nullptr, &model));
    gq_model_info info{};
    info.struct_size = sizeof info;
    cli::check(gq_model_get_info(model, &info));
    const std::vector<int32_t> tokens =
        cli::tokenize(model, cli::read_file(args.text("--file")), args.text("--file"), true, false);
    if (tokens.size() < ctx)
        cli::stop("%s: at least %zu tokens expected, found %zu", args.text("--file").c_str(), ctx, tokens.size());
    gq_session_options so = cli::session_options(args, static_cast<int32_t>(ctx), args.integer_or("--threads", 0));
    so.max_rows = static_cast<int32_t>(rows_at_once);
    gq_session* session = nullptr;
    cli::check(gq_session_create(model, &so, &session));
    size_t chunks = tokens.size() / ctx;
    if (args.natural("--chunks") > 0) chunks = std::min<size_t>(chunks, args.natural("--chunks"));
    std::fprintf(stderr, "[%zu windows of %zu tokens | kernels %s, %d threads%s]\n", chunks, ctx,
                 gq_session_isa(session), gq_session_threads(session), so.exact ? " | exact" : "");
    cli::warn_beyond_training(static_cast<int32_t>(ctx), info);
    Score score;
    for (size_t c = 0; c < chunks; ++c) {
        score_window(session, &tokens[c * ctx], ctx, start, static_cast<size_t>(info.vocab_size), score);
        std::fprintf(stderr, "\r%zu/%zu  ppl %.4f ", c + 1, chunks, score.ppl());
    }
    std::fprintf(stderr, "\n[%zu positions scored]\n", score.n);
    gq_session_free(session);
    gq_model_free(model);
    if (!std::isfinite(score.ppl())) cli::stop("the perplexity is not a finite number: the model's logits are not");
    std::printf("ppl %.4f +- %.4f\n", score.ppl(), score.error());
    cli::flush_output();
}
