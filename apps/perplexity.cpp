// ./perplexity: how well a .gq predicts a text, alone or beside the float model it was made from, or how often it finds
// the answers of multiple-choice questions: the choice with the highest ln p after the context (acc), or with the
// highest ln p per byte (acc_norm). Results go to stdout, the last line being "ppl X.XXXX +- Y.YYYY" or "acc_norm
// X.XXXX +- Y.YYYY"; progress goes to stderr. A text is tokenized as one string and cut into consecutive windows of
// --ctx tokens; what is left over is not used.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "apps/choices.h"
#include "apps/cli.h"
#include "apps/windows.h"

namespace {

constexpr cli::Option options[] = {
    {"--file", "-f", "TEXT", "", "the text"},
    {"--ctx", "-c", "N", "512", "tokens of a window; tokens at most of a context and its choice"},
    {"--chunks", "", "N", "0", "windows at most; 0: all"},
    {"--protocol", "", "NAME", "half-window", "half-window scores positions ctx/2+1 … ctx-1, full-window 1 … ctx-1"},
    {"--kl", "", "FLOAT.gq", "",
     "KL divergence from this model and agreement with it; its activations and cache are always f32"},
    {"--choices", "", "FILE", "",
     "questions, a line each: {\"context\": \"…\", \"choices\": [\"…\", \"…\"], \"answer\": 0}"},
    {"--json", "", "", "", "all figures as one JSON object instead of lines"},
    cli::activations_option,
    cli::exact_option,
    cli::cache_type_k_option,
    cli::cache_type_v_option,
    cli::kv_option,
    cli::threads_option,
    cli::isa_option,
    cli::no_mmap_option,
    cli::mlock_option,
};

struct Model {
    std::string path;
    gq_model* model;
    gq_session* session = nullptr;
    gq_model_info info{};
    size_t vocab = 0;

    Model(const cli::Arguments& args, const std::string& file) : path(file), model(cli::open_model(args, file)) {
        info.struct_size = sizeof info;
        cli::check(gq_model_get_info(model, &info));
        vocab = static_cast<size_t>(info.vocab_size);
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    ~Model() {
        gq_session_free(session);
        gq_model_free(model);
    }
    void open_session(const cli::Arguments& args, size_t context, bool is_reference) {
        gq_session_options o =
            cli::session_options(args, static_cast<int32_t>(context), args.integer_or("--threads", 0));
        o.max_rows = static_cast<int32_t>(windows::rows_at_once);
        if (is_reference) {
            o.activations = "exact";
            o.cache_type_k = o.cache_type_v = "f32";
        }
        cli::check(gq_session_create(model, &o, &session));
        cli::check_context(static_cast<int32_t>(context), info);
    }
};

size_t first_scored(const std::string& protocol, size_t ctx) {
    if (protocol == "half-window") return ctx / 2 + 1;
    if (protocol == "full-window") return 1;
    cli::stop("option '--protocol' expects half-window or full-window, found '%s'", protocol.c_str());
}

// Logits of two models can be compared where they mean the same tokens.
void check_same_tokens(const Model& reference, const Model& model, const std::string& text, const std::string& file,
                       const std::vector<int32_t>& tokens) {
    if (reference.vocab != model.vocab)
        cli::stop("%s: a vocabulary of %zu expected, that of %s, found %zu", reference.path.c_str(), model.vocab,
                  model.path.c_str(), reference.vocab);
    const std::vector<int32_t> others = cli::tokenize(reference.model, text, file, true, false);
    if (others == tokens) return;
    const auto [mine, other] = std::mismatch(tokens.begin(), tokens.end(), others.begin(), others.end());
    const auto id = [](const auto& at, const std::vector<int32_t>& of) {
        return at == of.end() ? std::string("the end") : std::to_string(*at);
    };
    cli::stop("%s: the tokenizer of %s expected: token %zu of %s must be %s, found %s", reference.path.c_str(),
              model.path.c_str(), static_cast<size_t>(mine - tokens.begin()), file.c_str(), id(mine, tokens).c_str(),
              id(other, others).c_str());
}

void print_alone(const scoring::Mean& nll, bool json) {
    const double ppl = scoring::perplexity(nll), error = scoring::perplexity_error(nll);
    if (json) {
        std::printf("{\"positions\": %zu, \"ppl\": %.9g, \"ppl_error\": %.9g}\n", nll.n, ppl, error);
    } else {
        std::printf("ppl %.4f +- %.4f\n", ppl, error);
    }
}

void print_comparison(scoring::Comparison& c, bool json) {
    std::sort(c.divergences.begin(), c.divergences.end());
    const auto quantile = [&](double fraction) { return scoring::quantile(c.divergences, fraction); };
    const double ppl = scoring::perplexity(c.model_nll), reference = scoring::perplexity(c.reference_nll);
    if (json) {
        std::printf(
            "{\"positions\": %zu, \"kl_mean\": %.9g, \"kl_error\": %.9g, \"kl_median\": %.9g, \"kl_90\": %.9g, "
            "\"kl_99\": %.9g, \"kl_max\": %.9g, \"same_top\": %.9g, \"same_top_error\": %.9g, ",
            c.divergence.n, c.divergence.mean(), c.divergence.error(), quantile(0.5), quantile(0.9), quantile(0.99),
            c.divergences.back(), c.same_top.mean(), c.same_top.error());
        std::printf(
            "\"reference_ppl\": %.9g, \"reference_ppl_error\": %.9g, \"ln_ppl_ratio\": %.9g, "
            "\"ln_ppl_ratio_error\": %.9g, \"ppl\": %.9g, \"ppl_error\": %.9g}\n",
            reference, scoring::perplexity_error(c.reference_nll), c.log_ratio.mean(), c.log_ratio.error(), ppl,
            scoring::perplexity_error(c.model_nll));
        return;
    }
    std::printf("KL mean %.6f +- %.6f\n", c.divergence.mean(), c.divergence.error());
    std::printf("KL median %.6f, 90 %% %.6f, 99 %% %.6f, maximum %.6f\n", quantile(0.5), quantile(0.9), quantile(0.99),
                c.divergences.back());
    std::printf("same top token %.3f %% +- %.3f %%\n", 100 * c.same_top.mean(), 100 * c.same_top.error());
    std::printf("reference ppl %.4f +- %.4f\n", reference, scoring::perplexity_error(c.reference_nll));
    std::printf("ln(ppl / reference ppl) %.6f +- %.6f\n", c.log_ratio.mean(), c.log_ratio.error());
    print_alone(c.model_nll, false);
}

void announce(const char* what, const Model& model, const cli::Arguments& args) {
    std::fprintf(stderr, "[%s | kernels %s, %d threads | activations %s]\n", what, gq_session_isa(model.session),
                 gq_session_threads(model.session), cli::activations_of(args));
}

void score_text(const cli::Arguments& args, Model& model, size_t ctx) {
    const std::string& file = args.text("--file");
    const size_t start = first_scored(args.text("--protocol"), ctx);
    const std::string text = cli::read_file(file);
    const std::vector<int32_t> tokens = cli::tokenize(model.model, text, file, true, false);
    if (tokens.size() < ctx) cli::stop("%s: at least %zu tokens expected, found %zu", file.c_str(), ctx, tokens.size());
    size_t chunks = tokens.size() / ctx;
    if (args.natural("--chunks") > 0) chunks = std::min<size_t>(chunks, args.natural("--chunks"));
    std::optional<Model> reference;
    if (args.has("--kl")) {
        reference.emplace(args, args.text("--kl"));
        check_same_tokens(*reference, model, text, file, tokens);
        reference->open_session(args, ctx, true);
    }
    model.open_session(args, ctx, false);
    announce((std::to_string(chunks) + " windows of " + std::to_string(ctx) + " tokens").c_str(), model, args);
    scoring::Comparison scores;
    scoring::Mean& nll = scores.model_nll;
    for (size_t c = 0; c < chunks; ++c) {
        const std::span window(&tokens[c * ctx], ctx);
        if (reference) {
            windows::compare(reference->session, model.session, window, start, model.vocab, scores);
        } else {
            windows::score(model.session, window, start, model.vocab, nll);
        }
        std::fprintf(stderr, "\r%zu/%zu  ppl %.4f ", c + 1, chunks, scoring::perplexity(nll));
        if (reference) std::fprintf(stderr, " KL %.6f ", scores.divergence.mean());
    }
    std::fprintf(stderr, "\n[%zu positions scored]\n", nll.n);
    if (!std::isfinite(scoring::perplexity(nll)))
        cli::stop("the perplexity is not a finite number: the model's logits are not");
    if (!reference) return print_alone(nll, args.has("--json"));
    if (!std::isfinite(scores.divergence.mean()))
        cli::stop("%s: the divergence from it is not a finite number: its logits are not", reference->path.c_str());
    print_comparison(scores, args.has("--json"));
}

void score_choices(const cli::Arguments& args, Model& model, size_t ctx) {
    for (const char* option : {"--file", "--chunks", "--protocol", "--kl"})
        if (args.has(option)) cli::stop("option '%s' is about a text: it can't stand beside '--choices'", option);
    const std::vector<choices::Item> items = choices::read(model.model, args.text("--choices"), ctx);
    model.open_session(args, choices::session_context(ctx), false);
    announce((std::to_string(items.size()) + " questions").c_str(), model, args);
    choices::Accuracy accuracy;
    for (const choices::Item& item : items) {
        accuracy.add(choices::log_likelihoods(model.session, item, model.vocab), item);
        std::fprintf(stderr, "\r%zu/%zu  acc_norm %.4f ", accuracy.raw.n, items.size(), accuracy.normalized.mean());
    }
    std::fputc('\n', stderr);
    const scoring::Mean &raw = accuracy.raw, &normalized = accuracy.normalized;
    std::printf(args.has("--json") ? "{\"questions\": %zu, \"acc\": %.9g, \"acc_error\": %.9g, \"acc_norm\": %.9g, "
                                     "\"acc_norm_error\": %.9g}\n"
                                   : "%zu questions\nacc %.4f +- %.4f\nacc_norm %.4f +- %.4f\n",
                raw.n, raw.mean(), raw.error(), normalized.mean(), normalized.error());
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "perplexity MODEL.gq -f TEXT | --choices FILE [options]", options, 1);
    if (args.words().empty()) cli::stop("a model expected: a .gq file; --help tells more");
    if (!args.has("--file") && !args.has("--choices")) cli::stop("option '-f' expected: the text to score");
    if (args.integer("--ctx") < 4) cli::stop("option '--ctx' expects at least 4, found %d", args.integer("--ctx"));
    const size_t ctx = static_cast<size_t>(args.integer("--ctx"));
    Model model(args, args.words()[0]);
    if (args.has("--choices")) {
        score_choices(args, model, ctx);
    } else {
        score_text(args, model, ctx);
    }
    cli::flush_output();
}
