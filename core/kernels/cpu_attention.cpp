// Attention on the CPU over paged keys and values, block by block of 64 positions.
// In: q, k, v (rows, heads * head_dim), page tables. Out: (rows, heads * head_dim). K and V are written to the pages
// first and always read back. Contract (design: bits do not depend on batch, threads or prefill chunks): a block of 64
// absolute positions gives (max, sum, out) from zero by gemm_f32, softmax_block, gemm_f32 over the keys that the row
// sees; blocks merge in ascending order; a block in which a row sees no key leaves that row untouched.
#include <algorithm>
#include <limits>

#include "core/kernels/cpu_backend.h"
#include "core/kernels/math.h"
#include "formats/element_type.h"

namespace gq {
namespace {

constexpr size_t query_rows = 64;  // rows of (token, head) that share one widened block of keys and values

void store_element(std::byte* base, size_t index, KvType type, float value) {
    if (type == KvType::f16) {
        reinterpret_cast<uint16_t*>(base)[index] = f32_to_f16(value);
    } else {
        reinterpret_cast<float*>(base)[index] = value;
    }
}

size_t tokens_per_task(const AttentionShape& shape) {
    return std::max<size_t>(1, query_rows / (shape.n_heads / shape.n_kv_heads));
}

// Some tokens of one segment under one kv head. Its rows are (token, query head of this kv head).
struct HeadTask {
    const Activations& q;
    const Activations& out;
    const Segment& segment;
    const KvGeometry& geometry;
    const AttentionShape& shape;
    size_t layer, kv_head;
    size_t token_begin, token_end;  // within the segment

    size_t heads() const { return shape.n_heads / shape.n_kv_heads; }
    size_t n_rows() const { return (token_end - token_begin) * heads(); }
    size_t position(size_t r) const { return segment.first_position + token_begin + r / heads(); }
    float* row_of(const Activations& a, size_t r) const {
        return a.row(segment.first_row + token_begin + r / heads()) +
               (kv_head * heads() + r % heads()) * geometry.head_dim;
    }
    size_t oldest_key(size_t query) const {
        return shape.window > 0 && query >= shape.window ? query - shape.window + 1 : 0;
    }
    // The keys [first, last) of the block at `start` that row r sees; none when first >= last.
    std::pair<size_t, size_t> visible(size_t r, size_t start) const {
        const size_t query = position(r), oldest = oldest_key(query);
        const size_t first = oldest > start ? std::min(oldest - start, kv_page_positions) : 0;
        const size_t last = query + 1 > start ? std::min(query + 1 - start, kv_page_positions) : 0;
        return {first, last};
    }
};

}  // namespace

struct CpuBackend::AttentionTask : HeadTask {};

void CpuBackend::store_kv(const Activations& k, const Activations& v, const Segment& segment,
                          const KvGeometry& geometry, size_t layer) {
    const size_t dim = geometry.head_dim;
    compute_.pool.for_each(geometry.n_kv_heads, [&](size_t head, size_t) {
        for (size_t r = 0; r < segment.n_rows; ++r) {
            const size_t position = segment.first_position + r, in_page = position % kv_page_positions;
            std::byte* page = segment.pages[position / kv_page_positions];
            std::byte* k_head = page + geometry.k_offset(layer, head);
            std::byte* v_head = page + geometry.v_offset(layer, head);
            const float* k_row = k.row(segment.first_row + r) + head * dim;
            const float* v_row = v.row(segment.first_row + r) + head * dim;
            for (size_t d = 0; d < dim; ++d) {
                store_element(k_head, ((in_page / 16) * dim + d) * 16 + in_page % 16, geometry.type, k_row[d]);
                store_element(v_head, ((d / 16) * kv_page_positions + in_page) * 16 + d % 16, geometry.type, v_row[d]);
            }
        }
    });
}

void CpuBackend::attention(const Activations& q, const Activations& k, const Activations& v,
                           std::span<const Segment> segments, const KvGeometry& geometry, size_t layer,
                           const AttentionShape& shape, const Activations& out) {
    const size_t tokens = tokens_per_task(shape);
    for (const Segment& segment : segments) {
        store_kv(k, v, segment, geometry, layer);
        const size_t chunks = div_up(segment.n_rows, tokens);
        compute_.pool.for_each(chunks * shape.n_kv_heads, [&](size_t i, size_t thread) {
            const size_t begin = i / shape.n_kv_heads * tokens;
            attend({{q, out, segment, geometry, shape, layer, i % shape.n_kv_heads, begin,
                     std::min(begin + tokens, segment.n_rows)}},
                   thread);
        });
    }
}

namespace {

// What the rows of a task carry from block to block, in the thread's scratch memory.
struct RowState {
    float* q;                    // (rows, head_dim)
    float* scores;               // (rows, 64)
    float* part;                 // (rows, head_dim): one block's output
    float* total;                // (rows, head_dim)
    float *max, *sum;            // (rows): of all blocks so far
    float *part_max, *part_sum;  // (rows): of one block
    float *k, *v;                // one block of keys and values, widened
};

// Floats that `rows` rows of a task take.
size_t state_floats(size_t rows, size_t head_dim) {
    const size_t dim = round_up(head_dim, 16), n = round_up(rows, 16);
    return n * (3 * dim + kv_page_positions + 4) + 2 * kv_page_positions * dim;
}

RowState carve(AlignedBuffer<float>& scratch, size_t rows, const KvGeometry& geometry) {
    const size_t dim = round_up(geometry.head_dim, 16), n = round_up(rows, 16);
    scratch.reserve_discard(state_floats(rows, geometry.head_dim));
    float* at = scratch.data();
    const auto take = [&](size_t size) { return std::exchange(at, at + size); };
    return {take(n * dim),
            take(n * kv_page_positions),
            take(n * dim),
            take(n * dim),
            take(n),
            take(n),
            take(n),
            take(n),
            take(kv_page_positions * dim),
            take(kv_page_positions * dim)};
}

// Row r's (max, sum, total) absorbs its block's (part_max, part_sum, part).
void merge_row(const RowState& s, size_t r, size_t dim) {
    const float top = std::max(s.max[r], s.part_max[r]);
    const float keep = exp_f32(s.max[r] - top), join = exp_f32(s.part_max[r] - top);
    float* total = s.total + r * dim;
    const float* part = s.part + r * dim;
    s.sum[r] = s.sum[r] * keep + s.part_sum[r] * join;
    for (size_t d = 0; d < dim; ++d) total[d] = total[d] * keep + part[d] * join;
    s.max[r] = top;
}

// A block of keys or values as floats: in place when the cache holds floats, else widened into `wide`.
const float* block_floats(const std::byte* block, size_t n, KvType type, WidenF16Fn widen, float* wide) {
    if (type == KvType::f32) return reinterpret_cast<const float*>(block);
    widen(reinterpret_cast<const uint16_t*>(block), n, wide);
    return wide;
}

using Range = std::pair<size_t, size_t>;  // [first, second)

// probabilities · values → part, for rows that see the same keys of a block; then merged into these rows. The product
// runs over those keys and no others: behind them a page holds what is later in this pass, or was another sequence's,
// and a probability of 0 does not silence an infinity there. (An fma with 0 · finite changes nothing, so rows that see
// the whole block and rows that see a part of it have the bits of one product over all 64.)
void add_values(const KernelTable& kernels, const float* v, const RowState& s, size_t dim, Range rows, Range keys) {
    kernels.gemm_f32({.a = s.scores + rows.first * kv_page_positions + keys.first,
                      .a_stride = kv_page_positions,
                      .panels = v + keys.first * panel_cols,
                      .panel_stride = kv_page_positions * panel_cols,
                      .c = s.part + rows.first * dim,
                      .c_stride = dim,
                      .m = rows.second - rows.first,
                      .n_cols = dim,
                      .k = keys.second - keys.first});
    for (size_t r = rows.first; r < rows.second; ++r) merge_row(s, r, dim);
}

// scores → probabilities → part, for the block that starts at position `start`; then merged into the rows that see it.
void attend_block(const KernelTable& kernels, const HeadTask& task, const RowState& s, size_t start) {
    const KvGeometry& geometry = task.geometry;
    const size_t dim = geometry.head_dim, rows = task.n_rows();
    const std::byte* page = task.segment.pages[start / kv_page_positions];
    const float* k = block_floats(page + geometry.k_offset(task.layer, task.kv_head), geometry.k_head_elements(),
                                  geometry.type, kernels.widen_f16, s.k);
    const float* v = block_floats(page + geometry.v_offset(task.layer, task.kv_head), geometry.v_head_elements(),
                                  geometry.type, kernels.widen_f16, s.v);
    kernels.gemm_f32({.a = s.q,
                      .a_stride = dim,
                      .panels = k,
                      .panel_stride = dim * 16,
                      .c = s.scores,
                      .c_stride = kv_page_positions,
                      .m = rows,
                      .n_cols = kv_page_positions,
                      .k = dim});
    for (size_t r = 0; r < rows; ++r) {
        const auto [first, last] = task.visible(r, start);
        const SoftmaxPart part =
            kernels.softmax_block(s.scores + r * kv_page_positions, first, std::max(first, last), task.shape.scale);
        s.part_max[r] = part.max;
        s.part_sum[r] = part.sum;
    }
    for (size_t begin = 0, end = 0; begin < rows; begin = end) {
        const auto range = task.visible(begin, start);
        for (end = begin + task.heads(); end < rows && task.visible(end, start) == range;) end += task.heads();
        if (range.first < range.second) add_values(kernels, v, s, dim, {begin, end}, range);
    }
}

}  // namespace

size_t CpuBackend::attention_scratch_bytes(const AttentionShape& shape) {
    const size_t rows = tokens_per_task(shape) * (shape.n_heads / shape.n_kv_heads);
    return state_floats(rows, shape.head_dim) * sizeof(float);
}

void CpuBackend::attend(const AttentionTask& task, size_t thread) {
    const size_t dim = task.geometry.head_dim, rows = task.n_rows();
    const RowState s = carve(scratch_[thread], rows, task.geometry);
    for (size_t r = 0; r < rows; ++r) {
        std::copy_n(task.row_of(task.q, r), dim, s.q + r * dim);
        std::fill_n(s.total + r * dim, dim, 0.0f);
        s.max[r] = -std::numeric_limits<float>::infinity();
        s.sum[r] = 0;
    }
    const size_t first_query = task.position(0), last_query = task.position(rows - 1);
    const size_t oldest = task.oldest_key(first_query);
    for (size_t start = oldest / kv_page_positions * kv_page_positions; start <= last_query; start += kv_page_positions)
        attend_block(compute_.kernels, task, s, start);
    for (size_t r = 0; r < rows; ++r) {
        float* out = task.row_of(task.out, r);
        for (size_t d = 0; d < dim; ++d) out[d] = s.total[r * dim + d] / s.sum[r];
    }
}

}  // namespace gq
