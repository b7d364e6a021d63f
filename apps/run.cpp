// ./run: a .gq and a prompt → text.
// In: a model; a prompt by word, option, file or stdin. Out: the text on stdout as it is made, everything else on
// stderr. Must not know tokens' meaning or sampling: gq.h does.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--model", "-m", "FILE", "", "the .gq; also the first word"},
    {"--prompt", "-p", "TEXT", "", "the prompt; also the second word"},
    {"--file", "-f", "FILE", "", "read the prompt from a file; - is stdin, which is also read when there is no prompt"},
    {"--system", "", "TEXT", "", "system message of the chat"},
    {"--raw", "", "", "", "no chat template: the prompt goes on as plain text"},
    {"--n-predict", "-n", "N", "0", "tokens to write at most; 0: until the model stops or the context is full"},
    {"--ctx", "-c", "N", "0", "positions of the context; 0: what the model was trained for"},
    cli::threads_option,
    {"--temp", "", "X", "", "temperature; 0 takes the most likely token (default: the model's)"},
    {"--top-k", "", "N", "", "keep the N most likely tokens; 0: all"},
    {"--top-p", "", "X", "", "keep the most likely tokens of total probability X"},
    {"--min-p", "", "X", "", "keep tokens at least X times as likely as the first"},
    {"--repeat-penalty", "", "X", "", "divide the logits of recent tokens by X"},
    {"--seed", "-s", "N", "0", "seed of the sampler"},
    cli::cache_type_k_option,
    cli::cache_type_v_option,
    cli::kv_option,
    cli::activations_option,
    cli::exact_option,
    cli::isa_option,
    cli::no_mmap_option,
    cli::mlock_option,
    {"--verify", "", "", "", "compare the file's hashes first"},
    {"--ignore-eos", "", "", "", "go on past stop tokens"},
};

// Whether the answer has begun: from then on Ctrl-C ends it after a token, and what it cost is still told.
bool answering = false;

int32_t print_text(const char* text, size_t n, int32_t token, void*) {
    answering = answering || token >= 0;
    std::fwrite(text, 1, n, stdout);
    return cli::interrupted() || std::fflush(stdout) != 0;
}

int32_t stop_prompt(void*) {
    return !answering && cli::interrupted();
}

std::string prompt_of(const cli::Arguments& args) {
    const size_t first = args.has("--model") ? 0 : 1;
    const size_t given = args.has("--file") + args.has("--prompt") + (args.words().size() - first);
    if (given > 1) cli::stop("one prompt expected, found %zu: a word, -p and -f exclude each other", given);
    if (args.has("--file")) return cli::read_file(args.text("--file"));
    if (args.has("--prompt")) return args.text("--prompt");
    if (args.words().size() > first) return args.words()[first] == "-" ? cli::read_file("-") : args.words()[first];
    if (isatty(STDIN_FILENO)) cli::stop("a prompt expected: as a word, by -p, by -f, or on stdin");
    return cli::read_file("-");
}

gq_generate_options generate_options(const cli::Arguments& args, const gq_model* model) {
    gq_generate_options o;
    gq_generate_defaults(model, &o);
    o.max_tokens = args.integer("--n-predict");
    if (args.has("--temp")) o.temperature = args.number("--temp");
    if (args.has("--top-k")) o.top_k = args.integer("--top-k");
    if (args.has("--top-p")) o.top_p = args.number("--top-p");
    if (args.has("--min-p")) o.min_p = args.number("--min-p");
    if (args.has("--repeat-penalty")) o.repetition_penalty = args.number("--repeat-penalty");
    o.seed = args.natural("--seed");
    o.ignore_stop = args.has("--ignore-eos");
    return o;
}

std::string chat_of(const cli::Arguments& args, const gq_model* model, const std::string& prompt) {
    const size_t nul = prompt.find('\0');
    if (nul != std::string::npos)
        cli::stop("prompt: text without NUL expected, found one at offset %zu; --raw takes it as it is", nul);
    std::vector<gq_chat_message> messages;
    if (args.has("--system")) messages.push_back({"system", args.text("--system").c_str()});
    messages.push_back({"user", prompt.c_str()});
    size_t size = 0;
    const gq_status status = gq_chat_render(model, messages.data(), messages.size(), 1, nullptr, &size);
    if (status == GQ_UNSUPPORTED || status == GQ_BAD_FILE)
        cli::stop("%s [%s]; --raw goes on without the chat template", gq_last_error(), gq_status_name(status));
    return cli::filled(
        [&](char* buffer, size_t* n) { return gq_chat_render(model, messages.data(), messages.size(), 1, buffer, n); });
}

std::vector<int32_t> prompt_tokens(const cli::Arguments& args, const gq_model* model, bool chat) {
    if (args.has("--system") && !chat)
        cli::stop("option '--system' expects a chat template: %s",
                  args.has("--raw") ? "--raw goes without one" : "this model has none");
    const std::string prompt = prompt_of(args);
    if (chat) return cli::tokenize(model, chat_of(args, model, prompt), "prompt", false, true);
    return cli::tokenize(model, prompt, "prompt", true, true);
}

void tell_full(int32_t context, const gq_model_info& info) {
    const bool whole = info.most_positions > 0 && context >= info.most_positions;
    std::fprintf(stderr, "[the context of %d positions is full; %s]\n", context,
                 whole ? "the model has learned no more" : "-c makes room");
}

void print_summary(const gq_model_info& info, const gq_session* session, const gq_generate_result& r) {
    const double decoded =
        r.n_generated_tokens > 1 ? r.n_generated_tokens - 1 : 0;  // the first token comes out of the prompt's pass
    const double rate = decoded > 0 && r.generate_seconds > 0 ? decoded / r.generate_seconds : 0;
    std::fprintf(
        stderr,
        "\n[prompt %d tokens %.1f tok/s | decode %d tokens %.1f tok/s %.1f GB/s | %s, %d threads | %.0f MB resident]\n",
        r.n_prompt_tokens, r.prompt_seconds > 0 ? r.n_prompt_tokens / r.prompt_seconds : 0, r.n_generated_tokens, rate,
        rate * static_cast<double>(info.streamed_bytes) / 1e9, gq_session_isa(session), gq_session_threads(session),
        cli::peak_memory_mb());
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "run MODEL.gq [PROMPT] [options]", options, 2);
    if (args.words().empty() && !args.has("--model")) cli::stop("a model expected: a .gq file; --help tells more");
    const std::string path = args.has("--model") ? args.text("--model") : args.words()[0];
    gq_model* model = cli::open_model(args, path, args.has("--verify"));
    gq_model_info info{};
    info.struct_size = sizeof info;
    cli::check(gq_model_get_info(model, &info));
    const bool chat = info.has_chat_template && !args.has("--raw");
    const std::vector<int32_t> prompt = prompt_tokens(args, model, chat);
    const gq_session_options so = cli::session_options(args, args.integer("--ctx"), args.integer_or("--threads", 0));
    gq_session* session = nullptr;
    cli::check(gq_session_create(model, &so, &session));
    std::fprintf(stderr, "[%s | %s, %.1f MB | kernels %s, %d threads%s]\n", path.c_str(), info.architecture,
                 static_cast<double>(info.file_bytes) / 1e6, gq_session_isa(session), gq_session_threads(session),
                 chat ? " | chat" : "");
    cli::check_context(so.context, info);
    if (std::strcmp(gq_session_isa(session), "scalar") == 0)
        std::fprintf(stderr, "[warning: scalar kernels serve; this is slow]\n");
    cli::catch_interrupt();
    cli::check(gq_session_set_cancel(session, stop_prompt, nullptr));
    const gq_generate_options go = generate_options(args, model);
    gq_generate_result result{};
    result.struct_size = sizeof result;
    const gq_status status = gq_generate(session, 0, prompt.data(), prompt.size(), &go, print_text, nullptr, &result);
    if (status == GQ_CANCELLED && cli::interrupted()) return cli::exit_interrupted();
    cli::check(status);
    std::fputc('\n', stdout);
    cli::flush_output();
    if (result.finish_reason == GQ_FINISH_CONTEXT) tell_full(so.context > 0 ? so.context : info.context_length, info);
    print_summary(info, session, result);
    gq_session_free(session);
    gq_model_free(model);
    return cli::interrupted() ? cli::exit_interrupted() : 0;
}
