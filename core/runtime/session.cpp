// Batches of rows → passes through the network. See session.h.
// In: (sequence, position, token, want_logits). Out: logits of the rows that want them; the kv cache grown by the rows.
// Must not know sampling or text.
#include "core/runtime/session.h"

#include <algorithm>

#include "core/base/status.h"

namespace gq {
namespace {

constexpr size_t logits_rows = 32;  // logits computed at a time: bounds their buffer, amortises the head's bytes

size_t context_of(const Model& model, const SessionOptions& options) {
    return options.context == 0 ? model.params.context : options.context;
}

size_t rows_of(size_t context, const SessionOptions& options) {
    return std::clamp<size_t>(options.max_rows, 1, context);
}

// Of all stages: the ranks of the linears that share an input, each in whole activation blocks.
size_t widest_low_rank(const Model& model) {
    size_t widest = 0;
    for (size_t layer = 0; layer < model.blocks.size(); ++layer) {
        const StepList& block = model.network.blocks[layer];
        for (size_t stage = 0; stage < block.stage_begin.size(); ++stage) {
            size_t width = 0;
            for (const size_t step : block.stage_linears(stage))
                width += round_up(model.blocks[layer].roles[block.steps[step].weight].low_rank.rank(), tile_cols);
            widest = std::max(widest, width);
        }
    }
    return widest;
}

}  // namespace

KvGeometry kv_geometry(const Model& model, const SessionOptions& options) {
    return {model.params.n_layers, model.params.n_kv_heads, model.params.head_dim, options.k_type, options.v_type};
}

Session::Session(const Model& model, const Compute& compute, const SessionOptions& options)
    : model_(model),
      context_(context_of(model, options)),
      longest_(model.network.most_positions > 0 ? std::min(model.network.most_positions, context_) : context_),
      backend_(make_cpu_backend(compute)),
      forward_(model.network, *backend_, options.precision),
      slots_(*backend_, model.network, rows_of(context_, options)),
      cache_(*backend_, kv_geometry(model, options), div_up(context_, kv_page_positions)) {}

size_t Session::bytes_needed(const Model& model, const SessionOptions& options, size_t n_threads) {
    const size_t context = context_of(model, options), rows = rows_of(context, options);
    const size_t kv = checked_mul(div_up(context, kv_page_positions),
                                  round_up(kv_geometry(model, options).page_bytes(), cache_line), "kv cache");
    // The head computes logits_rows rows at a time in the backend's memory, and they are copied out.
    const size_t logits =
        2 * checked_mul(std::min(rows, logits_rows), round_up(model.params.vocab, tile_cols) * sizeof(float), "logits");
    WorkSize work{
        .n_rows = rows,
        .n_threads = n_threads,
        .linear_in = model.params.hidden,
        .attention = {
            .n_heads = model.params.n_heads, .n_kv_heads = model.params.n_kv_heads, .head_dim = model.params.head_dim}};
    for (const BlockWeights& block : model.blocks)
        for (const Weight& weight : block.roles)
            if (!weight.vector) work.linear_in = std::max(work.linear_in, weight.matrix.cols);
    work.low_rank = widest_low_rank(model);
    work.precision = options.precision;
    // What the heap keeps beside: a page's place in tables, a row's token, position and indices.
    constexpr size_t page_record = 192, row_record = 64;
    const size_t records = div_up(context, kv_page_positions) * page_record + rows * row_record;
    size_t total = records;
    for (const size_t part : {kv, logits, SlotMemory::bytes_needed(model.network, rows), cpu_backend_bytes(work)})
        if (__builtin_add_overflow(total, part, &total))
            fail(Status::invalid_argument, "session: a context of %zu needs more bytes than a size holds", context);
    return total;
}

bool Session::has_room(SequenceId sequence, size_t n) const {
    const size_t end = cache_.length(sequence) + n;
    return end <= longest_ && cache_.has_room(sequence, end);
}

void Session::check(std::span<const BatchRow> batch) const {
    std::map<SequenceId, size_t> next;
    for (size_t i = 0; i < batch.size(); ++i) {
        const BatchRow& row = batch[i];
        const auto [at, is_new] = next.try_emplace(row.sequence, cache_.length(row.sequence));
        if (row.token < 0 || static_cast<size_t>(row.token) >= model_.params.vocab)
            fail(Status::invalid_argument, "batch row %zu: token expected in 0 … %zu, found %d", i,
                 model_.params.vocab - 1, row.token);
        if (row.position < 0 || static_cast<size_t>(row.position) != at->second)
            fail(Status::invalid_argument, "batch row %zu: sequence %u goes on at position %zu, found %d", i,
                 row.sequence, at->second, row.position);
        if (++at->second > longest_)
            fail(Status::context_full, "batch row %zu: sequence %u would hold %zu tokens, the %s holds %zu", i,
                 row.sequence, at->second, longest_ < context_ ? "model's table of positions" : "context", longest_);
    }
}

void Session::decode(std::span<const BatchRow> batch) {
    n_logits_ = 0;
    check(batch);
    std::map<SequenceId, size_t> before;
    for (const BatchRow& row : batch) before.try_emplace(row.sequence, cache_.length(row.sequence));
    try {
        for (size_t i = 0; i < batch.size(); i += slots_.max_rows())
            run_pass(batch.subspan(i, std::min(slots_.max_rows(), batch.size() - i)));
    } catch (...) {
        for (const auto& [sequence, length] : before) cache_.truncate(sequence, length);
        throw;
    }
}

std::vector<Segment> Session::segments_of(std::span<const BatchRow> rows) const {
    std::vector<Segment> segments;
    for (size_t i = 0; i < rows.size(); ++i) {
        const bool goes_on = i > 0 && rows[i].sequence == rows[i - 1].sequence;
        if (goes_on) {
            ++segments.back().n_rows;
        } else {
            segments.push_back({i, 1, static_cast<size_t>(rows[i].position), cache_.pages(rows[i].sequence)});
        }
    }
    return segments;
}

void Session::run_pass(std::span<const BatchRow> rows) {
    std::vector<int32_t> tokens, positions;
    std::map<SequenceId, size_t> ends;
    for (const BatchRow& row : rows) {
        tokens.push_back(row.token);
        positions.push_back(row.position);
        ends[row.sequence] = static_cast<size_t>(row.position) + 1;
    }
    for (const auto& [sequence, end] : ends) cache_.reserve(sequence, end);
    const std::vector<Segment> segments = segments_of(rows);
    const RowSet all{.positions = positions, .segments = segments, .geometry = &cache_.geometry(), .layer = 0};
    forward_.embed(model_.embedding, model_.outer, tokens, all, slots_);
    run_blocks(all);
    collect_logits(rows);
    for (const auto& [sequence, end] : ends) cache_.commit(sequence, end);
}

void Session::run_blocks(const RowSet& all) {
    RowSet rows = all;
    for (rows.layer = 0; rows.layer < model_.blocks.size(); ++rows.layer) {
        const StepList& block = model_.network.blocks[rows.layer];
        size_t begin = 0;
        for (size_t stage = 0; stage <= block.stage_begin.size(); ++stage) {
            const size_t end = stage < block.stage_begin.size() ? block.stage_begin[stage] : block.steps.size();
            if (cancelled_ && cancelled_()) fail(Status::cancelled, "decode was cancelled in layer %zu", rows.layer);
            forward_.run(block, begin, end, model_.blocks[rows.layer], rows, slots_);
            begin = end;
        }
    }
}

void Session::collect_logits(std::span<const BatchRow> rows) {
    std::vector<size_t> wanted;
    for (size_t i = 0; i < rows.size(); ++i)
        if (rows[i].want_logits) wanted.push_back(i);
    const size_t vocab = model_.params.vocab;
    logits_.resize(std::max(logits_.size(), (n_logits_ + wanted.size()) * vocab));
    const size_t stride = round_up(vocab, tile_cols);
    const BackendBuffer<float> buffer(*backend_, wanted.empty() ? 0 : std::min(wanted.size(), logits_rows) * stride);
    for (size_t i = 0; i < wanted.size(); i += logits_rows) {
        const std::span<const size_t> part(&wanted[i], std::min(logits_rows, wanted.size() - i));
        forward_.head(model_, part, slots_, {buffer.data(), stride, vocab});
        for (size_t r = 0; r < part.size(); ++r)
            backend_->read(buffer.data() + r * stride, vocab * sizeof(float), &logits_[n_logits_++ * vocab]);
    }
}

std::span<const float> Session::logits(size_t i) const {
    if (i >= n_logits_) fail(Status::invalid_argument, "logits: row expected below %zu, found %zu", n_logits_, i);
    return {&logits_[i * model_.params.vocab], model_.params.vocab};
}

}  // namespace gq
