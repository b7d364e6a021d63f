// Attention on the CPU over paged keys and values, block by block of 64 positions.
// In: q, k, v (rows, heads * head_dim), page tables. Out: (rows, heads * head_dim). K and V are written to the pages
// first and always read back. Contract (design: bits do not depend on batch, threads or prefill chunks): a block of 64
// absolute positions gives (max, sum, out) from zero by gemm_f32, softmax_block, gemm_f32 over the keys that the row
// sees; blocks merge in ascending order; a block in which a row sees no key leaves that row untouched.
#include <algorithm>
#include <limits>
#include <vector>

#include "core/kernels/cpu_backend.h"
#include "core/kernels/math.h"

namespace gq {
namespace {

constexpr size_t query_rows = 64;  // rows of (token, head) that share one widened block of keys and values
// Tasks for a thread from which on they are enough, so that none waits long for the last one. Fewer are cut into runs
// of blocks, where there are that many blocks.
constexpr size_t tasks_per_thread = 4;
constexpr size_t fewest_split_blocks = 4;
constexpr size_t parts_per_thread = 2 * tasks_per_thread;  // tasks of which one block's results are kept

using Range = std::pair<size_t, size_t>;  // [first, second)

size_t heads_per_kv_head(const AttentionShape& shape) {
    return shape.n_heads / shape.n_kv_heads;
}
size_t tokens_per_task(const AttentionShape& shape) {
    return std::max<size_t>(1, query_rows / heads_per_kv_head(shape));
}
size_t rows_per_task(const AttentionShape& shape) {
    return tokens_per_task(shape) * heads_per_kv_head(shape);
}

// What all tasks of one layer read.
struct LayerCall {
    const KernelTable& kernels;
    const Activations& q;
    const Activations& out;
    const KvGeometry& geometry;
    const AttentionShape& shape;
    size_t layer;
    WidenKvFn widen_k, widen_v;  // null: pages hold what is read
    std::vector<float> falls;    // by head, of add_alibi(); empty: none

    size_t head_dim() const { return geometry.head_dim; }
};

// Some tokens of one segment under one kv head. Its rows are (token, query head of this kv head).
struct HeadTask {
    const LayerCall& call;
    const Segment& segment;
    size_t kv_head;
    size_t token_begin, token_end;  // within the segment

    size_t heads() const { return heads_per_kv_head(call.shape); }
    size_t n_rows() const { return (token_end - token_begin) * heads(); }
    size_t position(size_t r) const { return segment.first_position + token_begin + r / heads(); }
    size_t head(size_t r) const { return kv_head * heads() + r % heads(); }
    float* row_of(const Activations& a, size_t r) const {
        return a.row(segment.first_row + token_begin + r / heads()) + head(r) * call.head_dim();
    }
    size_t oldest_key(size_t query) const {
        const size_t window = call.shape.window;
        return window > 0 && query >= window ? query - window + 1 : 0;
    }
    // The blocks in which any row sees a key; block b holds positions 64 b … 64 b + 63.
    Range blocks() const {
        return {oldest_key(position(0)) / kv_page_positions, position(n_rows() - 1) / kv_page_positions + 1};
    }
    size_t n_blocks() const { return blocks().second - blocks().first; }
    // A block of keys, or of values, as its page holds it.
    const std::byte* keys(size_t block) const {
        return segment.pages[block] + call.geometry.k_offset(call.layer, kv_head);
    }
    const std::byte* values(size_t block) const {
        return segment.pages[block] + call.geometry.v_offset(call.layer, kv_head);
    }
    // The keys [first, last) of a block that row r sees; none when first >= last.
    Range visible(size_t r, size_t block) const {
        const size_t start = block * kv_page_positions, query = position(r), oldest = oldest_key(query);
        const size_t first = oldest > start ? std::min(oldest - start, kv_page_positions) : 0;
        const size_t last = query + 1 > start ? std::min(query + 1 - start, kv_page_positions) : 0;
        return {first, last};
    }
};

// Tokens of a segment that a task for each kv head takes.
struct TokenChunk {
    const Segment* segment;
    size_t begin, end;
};

// Those that see the most keys come first, so that the last ones to be handed out are short.
std::vector<TokenChunk> chunks_of(std::span<const Segment> segments, size_t tokens) {
    size_t n = 0;
    for (const Segment& segment : segments) n += div_up(segment.n_rows, tokens);
    std::vector<TokenChunk> chunks;
    chunks.reserve(n);
    for (const Segment& segment : segments)
        for (size_t i = div_up(segment.n_rows, tokens); i-- > 0;)
            chunks.push_back({&segment, i * tokens, std::min((i + 1) * tokens, segment.n_rows)});
    return chunks;
}

}  // namespace

struct CpuBackend::AttentionTask : HeadTask {};

void CpuBackend::store_kv(const Activations& k, const Activations& v, std::span<const Segment> segments,
                          const KvGeometry& geometry, size_t layer) {
    const size_t dim = geometry.head_dim;
    const KvType &k_type = *geometry.k_type, &v_type = *geometry.v_type;
    compute_.pool.for_each(segments.size() * geometry.n_kv_heads, [&](size_t i, size_t thread) {
        const Segment& segment = segments[i / geometry.n_kv_heads];
        const size_t head = i % geometry.n_kv_heads;
        scratch_[thread].reserve_discard(dim);
        float* const turned = scratch_[thread].data();
        const auto coordinates = [&](const Activations& a, size_t r, const KvType& type) -> const float* {
            const float* row = a.row(segment.first_row + r) + head * dim;
            if (!type.is_rotated) return row;
            std::copy_n(row, dim, turned);
            rotate_head(turned, dim);
            return turned;
        };
        for (size_t r = 0; r < segment.n_rows; ++r) {
            const size_t position = segment.first_position + r, in_page = position % kv_page_positions;
            std::byte* page = segment.pages[position / kv_page_positions];
            k_type.store_k(coordinates(k, r, k_type), dim, in_page, page + geometry.k_offset(layer, head));
            v_type.store_v(coordinates(v, r, v_type), dim, in_page, page + geometry.v_offset(layer, head));
        }
    });
}

void CpuBackend::attention(const Activations& q, const Activations& k, const Activations& v,
                           std::span<const Segment> segments, const KvGeometry& geometry, size_t layer,
                           const AttentionShape& shape, const Activations& out) {
    const KernelTable& kernels = compute_.kernels;
    const LayerCall call{kernels,
                         q,
                         out,
                         geometry,
                         shape,
                         layer,
                         kernels.widen_k[kv_type_index(*geometry.k_type)],
                         kernels.widen_v[kv_type_index(*geometry.v_type)],
                         shape.alibi ? alibi_falls(shape.n_heads, shape.scale) : std::vector<float>()};
    store_kv(k, v, segments, geometry, layer);
    const std::vector<TokenChunk> chunks = chunks_of(segments, tokens_per_task(shape));
    const size_t n_tasks = chunks.size() * shape.n_kv_heads, n_threads = compute_.pool.size();
    const auto task = [&](size_t i) -> AttentionTask {
        const TokenChunk& chunk = chunks[i / shape.n_kv_heads];
        return {{call, *chunk.segment, i % shape.n_kv_heads, chunk.begin, chunk.end}};
    };
    if (n_threads > 1 && n_tasks < tasks_per_thread * n_threads) {
        std::vector<AttentionTask> tasks;
        tasks.reserve(n_tasks);
        size_t most_blocks = 0;
        for (size_t i = 0; i < n_tasks; ++i) {
            tasks.push_back(task(i));
            most_blocks = std::max(most_blocks, tasks[i].n_blocks());
        }
        if (most_blocks >= fewest_split_blocks) return attend_split(tasks);
    }
    compute_.pool.for_each(n_tasks, [&](size_t i, size_t thread) { attend(task(i), thread); });
}

namespace {

// Cuts memory into pieces.
struct Carver {
    float* at;
    float* take(size_t size) { return std::exchange(at, at + size); }
};

// One block's results for the rows of a task.
struct BlockParts {
    float* out;        // (rows, head_dim)
    float *max, *sum;  // (rows)

    static size_t floats(size_t rows, size_t dim) { return rows * (dim + 2); }
    static BlockParts carve(Carver& from, size_t rows, size_t dim) {
        return {from.take(rows * dim), from.take(rows), from.take(rows)};
    }
};

// What the rows of a task carry from block to block: their queries, and the results of all blocks so far.
struct RowState {
    float* q;  // (rows, head_dim), as the keys are: rotated or not
    BlockParts total;

    static size_t floats(size_t rows, size_t dim) { return rows * dim + BlockParts::floats(rows, dim); }
    static RowState carve(Carver& from, size_t rows, size_t dim) {
        return {from.take(rows * dim), BlockParts::carve(from, rows, dim)};
    }
};

// What a thread needs for one block, 64-byte aligned.
struct BlockScratch {
    float* wide;    // a block of keys, then one of values, widened: the two together would leave no room in L1
    float* scores;  // (rows, 64)

    static size_t floats(size_t rows, size_t dim) { return kv_page_positions * (round_up(dim, panel_cols) + rows); }
    static BlockScratch carve(Carver& from, size_t rows, size_t dim) {
        return {from.take(kv_page_positions * round_up(dim, panel_cols)), from.take(kv_page_positions * rows)};
    }
};

// Row r's total absorbs its part of one block.
void merge_row(const BlockParts& total, const BlockParts& part, size_t r, size_t dim) {
    const float top = std::max(total.max[r], part.max[r]);
    const float keep = exp_f32(total.max[r] - top), join = exp_f32(part.max[r] - top);
    float* out = total.out + r * dim;
    const float* add = part.out + r * dim;
    total.sum[r] = total.sum[r] * keep + part.sum[r] * join;
    for (size_t d = 0; d < dim; ++d) out[d] = out[d] * keep + add[d] * join;
    total.max[r] = top;
}

void merge_rows(const HeadTask& task, Range rows, size_t block, const BlockParts& part, const BlockParts& total) {
    for (size_t r = rows.first; r < rows.second; ++r) {
        const Range keys = task.visible(r, block);
        if (keys.first < keys.second) merge_row(total, part, r, task.call.head_dim());
    }
}

void begin_rows(const HeadTask& task, const RowState& state) {
    const size_t dim = task.call.head_dim();
    for (size_t r = 0; r < task.n_rows(); ++r) {
        std::copy_n(task.row_of(task.call.q, r), dim, state.q + r * dim);
        if (task.call.geometry.k_type->is_rotated) rotate_head(state.q + r * dim, dim);
        std::fill_n(state.total.out + r * dim, dim, 0.0f);
        state.total.max[r] = -std::numeric_limits<float>::infinity();
        state.total.sum[r] = 0;
    }
}

void finish_rows(const HeadTask& task, Range rows, const RowState& state) {
    const size_t dim = task.call.head_dim();
    for (size_t r = rows.first; r < rows.second; ++r) {
        float* out = task.row_of(task.call.out, r);
        for (size_t d = 0; d < dim; ++d) out[d] = state.total.out[r * dim + d] / state.total.sum[r];
        if (task.call.geometry.v_type->is_rotated) rotate_head(out, dim);
    }
}

// Fetches a block's keys and values into the second-level cache, a piece between two steps of the block before: blocks
// are too short for the machine to see a stream, and all at once would keep the next step waiting.
class FetchAhead {
  public:
    // Nothing behind the last block of the task.
    FetchAhead(const HeadTask& task, size_t block, size_t n_pieces) {
        if (block == task.blocks().second) return;
        const KvGeometry& geometry = task.call.geometry;
        left_[0] = {task.keys(block), geometry.k_bytes()};
        left_[1] = {task.values(block), geometry.v_bytes()};
        piece_ = round_up(div_up(geometry.k_bytes() + geometry.v_bytes(), n_pieces), cache_line);
    }

    void piece() {
        size_t left = piece_;
        for (std::span<const std::byte>& bytes : left_) {
            const size_t n = std::min(left, bytes.size());
            for (size_t i = 0; i < n; i += cache_line) __builtin_prefetch(bytes.data() + i, 0, 2);
            bytes = bytes.subspan(n);
            left -= n;
        }
    }

  private:
    std::span<const std::byte> left_[2];
    size_t piece_ = 0;
};

// A block of keys or values as floats: in place where the page holds floats, else widened into `wide`.
const float* block_floats(WidenKvFn widen, const std::byte* block, size_t head_dim, float* wide) {
    if (!widen) return reinterpret_cast<const float*>(block);
    widen(block, head_dim, wide);
    return wide;
}

// probabilities · values → part, for rows that see the same keys of a block. The product runs over those keys and no
// others: behind them a page holds what is later in this pass, or was another sequence's, and a probability of 0 does
// not silence an infinity there. (An fma with 0 · finite changes nothing, so rows that see the whole block and rows
// that see a part of it have the bits of one product over all 64.)
void add_values(const LayerCall& call, const float* scores, const float* v, const BlockParts& part, Range rows,
                Range keys) {
    call.kernels.gemm_f32({.a = scores + rows.first * kv_page_positions + keys.first,
                           .a_stride = kv_page_positions,
                           .panels = v + keys.first * panel_cols,
                           .panel_stride = kv_page_positions * panel_cols,
                           .c = part.out + rows.first * call.head_dim(),
                           .c_stride = call.head_dim(),
                           .m = rows.second - rows.first,
                           .n_cols = call.head_dim(),
                           .k = keys.second - keys.first});
}

// Beside a softmax for each row; where rows see different keys, more.
constexpr size_t steps_of_block = 4;

// One block for all rows of a task: q · keys → scores → probabilities, probabilities · values → part.
void attend_block(const HeadTask& task, const float* q, size_t block, const BlockScratch& scratch,
                  const BlockParts& part) {
    const LayerCall& call = task.call;
    const size_t dim = call.head_dim(), rows = task.n_rows();
    FetchAhead ahead(task, block + 1, steps_of_block + rows);
    ahead.piece();
    const float* k = block_floats(call.widen_k, task.keys(block), dim, scratch.wide);
    ahead.piece();
    call.kernels.gemm_f32({.a = q,
                           .a_stride = dim,
                           .panels = k,
                           .panel_stride = dim * panel_cols,
                           .c = scratch.scores,
                           .c_stride = kv_page_positions,
                           .m = rows,
                           .n_cols = kv_page_positions,
                           .k = dim});
    for (size_t r = 0; r < rows; ++r) {
        ahead.piece();
        const auto [first, last] = task.visible(r, block);
        float* const scores = scratch.scores + r * kv_page_positions;
        if (!call.falls.empty())
            add_alibi(scores, kv_page_positions, call.falls[task.head(r)],
                      static_cast<ptrdiff_t>(block * kv_page_positions) - static_cast<ptrdiff_t>(task.position(r)));
        const SoftmaxPart found = call.kernels.softmax_block(scores, first, std::max(first, last), call.shape.scale);
        part.max[r] = found.max;
        part.sum[r] = found.sum;
    }
    const float* v = block_floats(call.widen_v, task.values(block), dim, scratch.wide);
    ahead.piece();
    for (size_t begin = 0, end = 0; begin < rows; begin = end) {
        const Range keys = task.visible(begin, block);
        for (end = begin + task.heads(); end < rows && task.visible(end, block) == keys;) end += task.heads();
        if (keys.first < keys.second) add_values(call, scratch.scores, v, part, {begin, end}, keys);
        ahead.piece();
    }
}

// For each thread: what fewer than tasks_per_thread tasks carry, and parts_per_thread parts.
size_t split_floats(const AttentionShape& shape) {
    const size_t rows = rows_per_task(shape), dim = shape.head_dim;
    return tasks_per_thread * RowState::floats(rows, dim) + parts_per_thread * BlockParts::floats(rows, dim);
}

// Tasks whose rows stand one after another in shared memory, and one block's results of each of a wave of blocks.
struct SplitTasks {
    struct Rows {
        const HeadTask* task;
        Range rows;  // of the rows of all tasks
        RowState state;
    };
    std::vector<Rows> tasks;
    float* parts = nullptr;  // (wave, floats(n_rows, head_dim))
    size_t n_rows = 0, n_blocks = 0, head_dim = 0;

    // Results of task i's block `at` of a wave.
    BlockParts part(const Rows& of, size_t at) const {
        Carver memory{parts + BlockParts::floats(at * n_rows + of.rows.first, head_dim)};
        return BlockParts::carve(memory, of.task->n_rows(), head_dim);
    }
    void add(const HeadTask& task, Carver& memory) {
        const size_t rows = task.n_rows();
        head_dim = task.call.head_dim();
        tasks.push_back({&task, {n_rows, n_rows + rows}, RowState::carve(memory, rows, head_dim)});
        n_rows += rows;
        n_blocks = std::max(n_blocks, task.n_blocks());
    }
    // use(task, its block, that block's place in the wave) for blocks [begin, end) of the task, as far as it has them.
    template <class Use>
    static void for_blocks(const Rows& of, size_t wave_begin, size_t begin, size_t end, const Use& use) {
        const auto [first, last] = of.task->blocks();
        end = std::min(end, last - first);
        for (size_t i = begin; i < end; ++i) use(first + i, i - wave_begin);
    }
    // The rows [begin, end) of all tasks absorb what they have in a wave, in ascending order of blocks.
    void merge(size_t begin, size_t end, size_t wave_begin, size_t wave_end) const {
        for (const Rows& of : tasks) {
            const size_t first = std::max(begin, of.rows.first), last = std::min(end, of.rows.second);
            if (first >= last) continue;
            const Range rows{first - of.rows.first, last - of.rows.first};
            for_blocks(of, wave_begin, wave_begin, wave_end, [&](size_t block, size_t at) {
                merge_rows(*of.task, rows, block, part(of, at), of.state.total);
            });
            if (wave_end >= n_blocks) finish_rows(*of.task, rows, of.state);
        }
    }
};

}  // namespace

size_t CpuBackend::attention_scratch_bytes(const AttentionShape& shape) {
    const size_t rows = rows_per_task(shape), dim = shape.head_dim;
    return (BlockScratch::floats(rows, dim) + RowState::floats(rows, dim) + BlockParts::floats(rows, dim)) *
           sizeof(float);
}

size_t CpuBackend::attention_shared_bytes(const WorkSize& work) {
    const size_t chunks = checked_mul(work.n_rows, sizeof(TokenChunk), "backend");
    if (work.n_threads < 2) return chunks;
    const size_t a_thread = tasks_per_thread * (sizeof(AttentionTask) + sizeof(SplitTasks::Rows)) +
                            split_floats(work.attention) * sizeof(float);
    return chunks + checked_mul(work.n_threads, a_thread, "backend") + cache_line;
}

void CpuBackend::attend(const AttentionTask& task, size_t thread) {
    const size_t dim = task.call.head_dim(), rows = task.n_rows();
    scratch_[thread].reserve_discard(attention_scratch_bytes(task.call.shape) / sizeof(float));
    Carver memory{scratch_[thread].data()};
    const BlockScratch scratch = BlockScratch::carve(memory, rows, dim);
    const RowState state = RowState::carve(memory, rows, dim);
    const BlockParts part = BlockParts::carve(memory, rows, dim);
    begin_rows(task, state);
    const auto [first, last] = task.blocks();
    for (size_t block = first; block < last; ++block) {
        attend_block(task, state.q, block, scratch, part);
        merge_rows(task, {0, rows}, block, part, state.total);
    }
    finish_rows(task, {0, rows}, state);
}

// Few tasks over many keys: threads take runs of blocks. As many blocks of each task as there is room for are attended,
// then merged, then the next ones: the arithmetic of attend(), in its order.
void CpuBackend::attend_split(std::span<const AttentionTask> tasks) {
    const AttentionShape& shape = tasks[0].call.shape;
    const size_t n_threads = compute_.pool.size();
    split_memory_.reserve_discard(n_threads * split_floats(shape));
    SplitTasks split;
    Carver memory{split_memory_.data()};
    split.tasks.reserve(tasks.size());
    for (const AttentionTask& task : tasks) split.add(task, memory);
    split.parts = memory.at;
    const size_t wave = parts_per_thread * n_threads * rows_per_task(shape) / split.n_rows;
    compute_.pool.for_each(tasks.size(), [&](size_t i, size_t) { begin_rows(tasks[i], split.tasks[i].state); });
    for (size_t begin = 0; begin < split.n_blocks; begin += wave) {
        const size_t end = std::min(begin + wave, split.n_blocks), n_blocks = end - begin;
        compute_.pool.for_shares(tasks.size() * n_blocks, 1, [&](size_t first, size_t last, size_t thread) {
            scratch_[thread].reserve_discard(attention_scratch_bytes(shape) / sizeof(float));
            for (size_t i = first, next; i < last; i = next) {  // block i % n_blocks of task i / n_blocks
                next = std::min(last, (i / n_blocks + 1) * n_blocks);
                const SplitTasks::Rows& of = split.tasks[i / n_blocks];
                const size_t block_begin = begin + i % n_blocks;
                Carver own{scratch_[thread].data()};
                const BlockScratch scratch = BlockScratch::carve(own, of.task->n_rows(), shape.head_dim);
                SplitTasks::for_blocks(of, begin, block_begin, block_begin + (next - i), [&](size_t block, size_t at) {
                    attend_block(*of.task, of.state.q, block, scratch, split.part(of, at));
                });
            }
        });
        compute_.pool.for_ranges(split.n_rows, 1,
                                 [&](size_t first, size_t last, size_t) { split.merge(first, last, begin, end); });
    }
}

}  // namespace gq
