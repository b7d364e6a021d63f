// Multiple-choice questions by log-likelihood: which of its choices a model finds likeliest to follow the context.
// In: a model, an open session, a file of questions (jsonl.h). Out: accuracies; errors end the program. Must not know
// options or how results are printed.
#pragma once

#include <string>
#include <vector>

#include "apps/scoring.h"
#include "core/api/gq.h"

namespace choices {

// A question in tokens. Context and choice are tokenized as one text; the choice's tokens are those after the longest
// prefix that this has in common with the context's own tokens.
struct Candidate {
    std::vector<int32_t> tokens;  // of the context and the choice
    size_t first_scored;          // index of the choice's first token; at least 1
    size_t bytes;                 // of the choice's text, without white space before it
};
struct Item {
    std::vector<Candidate> candidates;
    size_t answer;
};

// The whole file, checked before anything is computed: JSON, keys, and at most `ctx` tokens.
std::vector<Item> read(const gq_model* model, const std::string& file, size_t ctx);

// Positions that a session needs for items of at most `ctx` tokens.
size_t session_context(size_t ctx);

struct Accuracy {
    scoring::Mean raw;         // the likeliest choice is the answer
    scoring::Mean normalized;  // the same by log-likelihood per byte, lm-evaluation-harness's acc_norm
    void add(const std::vector<double>& log_likelihoods, const Item& item);
};

// Σ ln p of each candidate's choice. The context that the candidates share is decoded once.
std::vector<double> log_likelihoods(gq_session* session, const Item& item, size_t vocab);

}  // namespace choices
