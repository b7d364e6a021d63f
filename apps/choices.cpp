// Reads questions, decodes the context of each once and its choices from forks of it. See choices.h.
#include "apps/choices.h"

#include <algorithm>
#include <cmath>

#include "apps/cli.h"
#include "apps/jsonl.h"
#include "apps/windows.h"

namespace choices {

namespace {

constexpr uint32_t context_sequence = 0, choice_sequence = 1;
constexpr size_t page = 64;  // gq.h: positions are given out in pages that one sequence writes

Candidate candidate(const gq_model* model, const jsonl::Question& question, size_t index, size_t ctx,
                    const std::string& line) {
    const std::string where = line + ": choice " + std::to_string(index), &choice = question.choices[index];
    const size_t blank = std::min(choice.find_first_not_of(" \t\r\n"), choice.size());
    if (blank == choice.size()) cli::stop("%s: a text other than white space expected", where.c_str());
    const std::vector<int32_t> context = cli::tokenize(model, question.context, line + ": context", true, false);
    Candidate c{cli::tokenize(model, question.context + choice, where, true, false), 0, choice.size() - blank};
    if (c.tokens.size() > ctx)
        cli::stop("%s: with its context at most %zu tokens (--ctx) expected, found %zu", where.c_str(), ctx,
                  c.tokens.size());
    const size_t shorter = std::min(context.size(), c.tokens.size());
    while (c.first_scored < shorter && context[c.first_scored] == c.tokens[c.first_scored]) ++c.first_scored;
    if (c.first_scored == 0)
        cli::stop("%s: a context that begins with the same token expected, found %zu tokens that share none",
                  where.c_str(), context.size());
    if (c.first_scored == c.tokens.size())
        cli::stop("%s: a text that adds a token to the context expected", where.c_str());
    return c;
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::vector<Item> read(const gq_model* model, const std::string& file, size_t ctx) {
    const std::string text = cli::read_file(file);
    std::vector<Item> items;
    size_t number = 1;
    for (size_t at = 0; at < text.size(); ++number) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        if (is_blank(line)) continue;
        const std::string where = file + ":" + std::to_string(number);
        jsonl::Question question;
        const std::string error = jsonl::parse_question(line, question);
        if (!error.empty()) cli::stop("%s: %s", where.c_str(), error.c_str());
        Item& item = items.emplace_back(Item{{}, question.answer});
        for (size_t i = 0; i < question.choices.size(); ++i)
            item.candidates.push_back(candidate(model, question, i, ctx, where));
    }
    if (items.empty()) cli::stop("%s: at least one question expected, found none", file.c_str());
    return items;
}

size_t session_context(size_t ctx) {
    return (ctx + page - 1) / page * page + page;  // a fork copies the context's last page once it writes
}

std::vector<double> log_likelihoods(gq_session* session, const Item& item, size_t vocab) {
    size_t shared = item.candidates[0].first_scored;
    for (const Candidate& c : item.candidates) shared = std::min(shared, c.first_scored);
    // The last shared token is decoded with each choice, whose first logits are its.
    const std::span<const int32_t> context(item.candidates[0].tokens.data(), shared - 1);
    windows::decode(session, context_sequence, context, 0, shared, {});
    std::vector<double> sums;
    for (const Candidate& c : item.candidates) {
        cli::check(gq_sequence_fork(session, context_sequence, choice_sequence));
        double& sum = sums.emplace_back(0);
        windows::decode(session, choice_sequence, c.tokens, shared - 1, c.first_scored,
                        [&](size_t i, const float* logits) {
                            sum -= scoring::negative_log_likelihood(logits, vocab, c.tokens[i]);
                        });
        if (!std::isfinite(sum)) cli::stop("a likelihood is not a finite number: the model's logits are not");
        cli::check(gq_sequence_truncate(session, choice_sequence, 0));
    }
    cli::check(gq_sequence_truncate(session, context_sequence, 0));
    return sums;
}

void Accuracy::add(const std::vector<double>& log_likelihoods, const Item& item) {
    std::vector<double> per_byte = log_likelihoods;
    for (size_t i = 0; i < per_byte.size(); ++i) per_byte[i] /= static_cast<double>(item.candidates[i].bytes);
    const auto chosen = [](const std::vector<double>& values) {
        return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
    };
    raw.add(chosen(log_likelihoods) == item.answer ? 1 : 0);
    normalized.add(chosen(per_byte) == item.answer ? 1 : 0);
}

}  // namespace choices
