// Some documents at a time, a token of each per pass; where one ends the next begins. See own_text.h.
// In: logits, sampled with a seed for each document. Out: text in the order in which documents end. Must not know
// files.
#include "core/quantize/own_text.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/status.h"
#include "core/quantize/calibration_text.h"
#include "core/runtime/sampler.h"
#include "core/runtime/session.h"

namespace gq {
namespace {

constexpr size_t side_by_side = 32;                        // documents
constexpr size_t opening_tokens = 48, least_opening = 40;  // tokens of an opening at most, bytes of its paragraph

// The paragraphs of the built-in text that are long enough to say what they are.
std::vector<std::string_view> paragraphs() {
    std::vector<std::string_view> result;
    const std::string_view text = builtin_calibration_text();
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find("\n\n", begin), text.size());
        if (end - begin >= least_opening) result.push_back(text.substr(begin, end - begin));
        begin = end + 2;
    }
    return result;
}

// What the paragraphs begin with, of those that this vocabulary can say.
std::vector<std::vector<int32_t>> openings(const Tokenizer& tokenizer, size_t vocab) {
    std::vector<std::vector<int32_t>> result;
    for (const std::string_view paragraph : paragraphs()) {
        std::vector<int32_t> ids = tokenizer.encode(paragraph);
        ids.resize(std::min(ids.size(), opening_tokens));
        const bool known =
            std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < vocab; });
        if (!ids.empty() && known) result.push_back(std::move(ids));
    }
    if (result.empty())
        fail(Status::bad_file,
             "calibration text: the tokenizer has no tokens below the model's %zu for any opening of the built-in text",
             vocab);
    return result;
}

class Writer {
  public:
    Writer(const Model& model, const Tokenizer& tokenizer, std::span<const int32_t> stop_ids, const Compute& compute,
           const OwnTextOptions& options)
        : tokenizer_(tokenizer),
          stop_ids_(stop_ids),
          options_(options),
          openings_(openings(tokenizer, model.params.vocab)),
          documents_(side_by_side),
          session_(model, compute,
                   {.context = side_by_side * (options.document_tokens + opening_tokens + kv_page_positions),
                    .precision = Precision::exact}) {}

    std::string run() {
        while (n_written_ < options_.n_tokens) {
            step();
            if (options_.between_steps) options_.between_steps();
        }
        for (Document& document : documents_) finish(document);
        return std::move(text_);
    }

  private:
    struct Document {
        std::vector<int32_t> ids;  // empty: not begun
        size_t n_read = 0;         // of ids, by the model
        Sampler sampler{SamplerOptions{}};
    };

    // Number i · φ, of as many as there are: any number of them is spread evenly.
    const std::vector<int32_t>& opening() const {
        const double golden = 0.61803398874989485, at = static_cast<double>(n_begun_) * golden;
        return openings_[static_cast<size_t>((at - std::floor(at)) * static_cast<double>(openings_.size()))];
    }

    void begin(Document& document) {
        SamplerOptions sampler = options_.sampler;
        sampler.seed = n_begun_;
        document = {opening(), 0, Sampler(sampler)};
        n_written_ += document.ids.size();
        ++n_begun_;
    }

    void finish(Document& document) {
        if (!document.ids.empty()) text_.append(tokenizer_.decode(document.ids)).append("\n\n");
        document.ids.clear();
    }

    void step() {
        std::vector<BatchRow> batch;
        for (size_t i = 0; i < documents_.size(); ++i) {
            Document& document = documents_[i];
            const SequenceId sequence = static_cast<SequenceId>(i);
            if (document.ids.empty()) {
                session_.truncate(sequence, 0);
                begin(document);
            }
            for (; document.n_read < document.ids.size(); ++document.n_read)
                batch.push_back({sequence, static_cast<int32_t>(document.n_read), document.ids[document.n_read],
                                 document.n_read + 1 == document.ids.size()});
        }
        session_.decode(batch);
        for (size_t i = 0; i < documents_.size(); ++i) take(documents_[i], session_.logits(i));
    }

    void take(Document& document, std::span<const float> logits) {
        const int32_t id = document.sampler.sample(logits, document.ids);
        const bool stops = std::find(stop_ids_.begin(), stop_ids_.end(), id) != stop_ids_.end();
        if (!stops) {
            document.ids.push_back(id);
            ++n_written_;
        }
        if (stops || document.ids.size() >= options_.document_tokens) finish(document);
    }

    const Tokenizer& tokenizer_;
    const std::span<const int32_t> stop_ids_;
    const OwnTextOptions options_;
    const std::vector<std::vector<int32_t>> openings_;
    std::vector<Document> documents_;
    Session session_;
    std::string text_;
    size_t n_begun_ = 0, n_written_ = 0;
};

}  // namespace

std::string write_own_text(const Model& model, const Tokenizer& tokenizer, std::span<const int32_t> stop_ids,
                           const Compute& compute, const OwnTextOptions& options) {
    return Writer(model, tokenizer, stop_ids, compute, options).run();
}

}  // namespace gq
