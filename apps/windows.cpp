// Decodes in passes of a bounded number of rows and scores each pass before the next. See windows.h.
#include "apps/windows.h"

#include <algorithm>

#include "apps/cli.h"

namespace windows {

namespace {

const float* logits_of(const gq_session* session, size_t index) {
    const float* logits = nullptr;
    cli::check(gq_logits(session, index, &logits));
    return logits;
}

// Decodes tokens [begin, end); returns the indices of the tokens that the waiting logits predict.
std::vector<size_t> pass(gq_session* session, uint32_t sequence, std::span<const int32_t> tokens, size_t begin,
                         size_t end, size_t first_scored) {
    std::vector<gq_batch_row> rows;
    std::vector<size_t> predicted;
    for (size_t i = begin; i < end; ++i) {
        const bool wanted = i + 1 >= first_scored && i + 1 < tokens.size();
        rows.push_back({sequence, static_cast<int32_t>(i), tokens[i], wanted});
        if (wanted) predicted.push_back(i + 1);
    }
    cli::check(gq_decode(session, rows.data(), rows.size()));
    return predicted;
}

}  // namespace

void decode(gq_session* session, uint32_t sequence, std::span<const int32_t> tokens, size_t begin, size_t first_scored,
            const Visit& visit) {
    for (; begin < tokens.size(); begin += rows_at_once) {
        const size_t end = std::min(tokens.size(), begin + rows_at_once);
        size_t index = 0;
        for (const size_t i : pass(session, sequence, tokens, begin, end, first_scored))
            visit(i, logits_of(session, index++));
    }
}

void score(gq_session* session, std::span<const int32_t> window, size_t first_scored, size_t vocab,
           scoring::Mean& nll) {
    decode(session, 0, window, 0, first_scored,
           [&](size_t i, const float* logits) { nll.add(scoring::negative_log_likelihood(logits, vocab, window[i])); });
    cli::check(gq_sequence_truncate(session, 0, 0));
}

void compare(gq_session* reference, gq_session* model, std::span<const int32_t> window, size_t first_scored,
             size_t vocab, scoring::Comparison& comparison) {
    for (size_t begin = 0; begin < window.size(); begin += rows_at_once) {
        const size_t end = std::min(window.size(), begin + rows_at_once);
        pass(reference, 0, window, begin, end, first_scored);
        size_t index = 0;
        for (const size_t i : pass(model, 0, window, begin, end, first_scored)) {
            comparison.add(scoring::compare(logits_of(reference, index), logits_of(model, index), vocab, window[i]));
            ++index;
        }
    }
    cli::check(gq_sequence_truncate(reference, 0, 0));
    cli::check(gq_sequence_truncate(model, 0, 0));
}

}  // namespace windows
