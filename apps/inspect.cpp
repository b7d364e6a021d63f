// ./inspect: what a .gq, a GGUF or a Hugging Face folder holds; the report on a .gq as a page; its tokenizer at work.
// In: a path; a text or ids. Out: lines, JSON, HTML, ids or text on stdout. Must not know any format: gq.h describes
// them.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "apps/cli.h"

namespace {

constexpr cli::Option options[] = {
    {"--verify", "", "", "", "read everything and compare the hashes of a .gq"},
    {"--json", "", "", "", "JSON instead of lines"},
    {"--html", "", "", "", "the report on a .gq as a page: errors, losses, sizes"},
    {"--figures", "", "FILE", "", "what ./perplexity --json printed, shown by --html as well; - is stdin"},
    {"--tokenize", "", "FILE", "", "token ids of a text, one a line; - is stdin"},
    {"--detokenize", "", "FILE", "", "the text of ids, one a line; - is stdin"},
};

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void print_tokens(const gq_model* model, const std::string& file) {
    for (const int32_t id : cli::tokenize(model, cli::read_file(file), file, true, true)) std::printf("%d\n", id);
}

std::vector<int32_t> read_ids(const std::string& file) {
    const std::string text = cli::read_file(file);
    std::vector<int32_t> ids;
    size_t line = 1;
    for (size_t at = 0; at < text.size(); ++line) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string word = text.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        char* rest = nullptr;
        errno = 0;
        const long id = std::strtol(word.c_str(), &rest, 10);
        if (rest != word.data() + word.size() || errno != 0 || id < 0 || id > INT32_MAX)
            cli::stop("%s:%zu: a token id expected, found '%s'", file.c_str(), line, word.c_str());
        ids.push_back(static_cast<int32_t>(id));
    }
    return ids;
}

void verify(const char* path) {
    size_t size = 0;
    const gq_status status = gq_describe(path, GQ_DESCRIBE_TEXT, 1, nullptr, &size);
    if (status != GQ_BUFFER_TOO_SMALL) cli::check(status);
    std::fprintf(stderr, "verified: every hash is as written\n");
}

void print_page(const cli::Arguments& args) {
    const std::string figures = args.has("--figures") ? cli::read_file(args.text("--figures")) : "";
    print(cli::filled([&](char* buffer, size_t* size) {
        return gq_report_html(args.words()[0].c_str(), args.has("--figures") ? figures.c_str() : nullptr, buffer, size);
    }));
}

}  // namespace

int main(int argc, char** argv) {
    const cli::Arguments args(argc, argv, "inspect PATH [options]     PATH: a .gq, a GGUF or a Hugging Face folder",
                              options, 1);
    if (args.words().empty()) cli::stop("a path expected: a .gq, a GGUF or a Hugging Face folder; --help tells more");
    if (args.has("--json") + args.has("--html") + args.has("--tokenize") + args.has("--detokenize") > 1)
        cli::stop("options '--json', '--html', '--tokenize' and '--detokenize': one of them expected, found more");
    if (args.has("--figures") && !args.has("--html")) cli::stop("option '--figures' expects --html beside it");
    const char* path = args.words()[0].c_str();
    if (args.has("--verify")) verify(path);
    if (args.has("--html")) {
        print_page(args);
        cli::flush_output();
        return 0;
    }
    if (!args.has("--tokenize") && !args.has("--detokenize")) {
        const gq_describe_format format = args.has("--json") ? GQ_DESCRIBE_JSON : GQ_DESCRIBE_TEXT;
        print(cli::filled([&](char* buffer, size_t* size) { return gq_describe(path, format, 0, buffer, size); }));
        cli::flush_output();
        return 0;
    }
    gq_model* model = nullptr;
    cli::check(gq_tokenizer_open(path, &model));
    if (args.has("--tokenize")) {
        print_tokens(model, args.text("--tokenize"));
    } else {
        const std::vector<int32_t> ids = read_ids(args.text("--detokenize"));
        print(cli::filled(
            [&](char* buffer, size_t* size) { return gq_detokenize(model, ids.data(), ids.size(), 0, buffer, size); }));
    }
    cli::flush_output();
    gq_model_free(model);
}
