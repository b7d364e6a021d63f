// The Backend of this machine's CPU: a kernel table spread over a thread pool.
// In: the calls of backend.h. Out: the same bits at any thread count: threads split rows, tokens, heads, and blocks of
// keys, whose parts are merged in ascending order by any number. Must not know models, sessions or instruction sets.
#pragma once

#include <vector>

#include "core/base/memory.h"
#include "core/kernels/activation_modes.h"
#include "core/kernels/compute.h"

namespace gq {

class CpuBackend final : public Backend {
  public:
    explicit CpuBackend(const Compute& compute);

    void* allocate(size_t bytes) override;
    void release(void* memory) noexcept override;
    void copy(const void* from, size_t bytes, void* to) override;
    void read(const void* memory, size_t bytes, void* host) override;

    void embed(const PackedMatrix& table, std::span<const int32_t> ids, const Activations& out) override;
    void center(const Activations& x, size_t n_rows, const Activations& out) override;
    void rms_norm(const Activations& x, size_t n_rows, const float* weight, float eps, const Activations& out) override;
    void linear(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks, Precision precision) override;
    void rope(const Activations& x, std::span<const int32_t> positions, size_t n_heads, size_t head_dim,
              const float* inv_freq) override;
    void attention(const Activations& q, const Activations& k, const Activations& v, std::span<const Segment> segments,
                   const KvGeometry& geometry, size_t layer, const AttentionShape& shape,
                   const Activations& out) override;
    void silu_mul(const Activations& gate, const Activations& up, size_t n_rows, const Activations& out) override;
    void relu(const Activations& x, size_t n_rows, const Activations& out) override;
    void gelu(const Activations& x, size_t n_rows, const Activations& out) override;
    void gather_rows(const Activations& x, std::span<const size_t> rows, const Activations& out) override;
    void add(const Activations& x, const Activations& y, size_t n_rows, const Activations& out) override;
    void add_bias(const Activations& x, const float* bias, size_t n_rows, const Activations& out) override;

    // What cpu_backend_bytes() adds up: of all prepared rows, of a low rank, of the sums that threads add to y and
    // those of groups, of one thread's scratch memory, and of attention that threads share.
    static size_t prepared_bytes(const WorkSize& work, size_t width);
    static size_t low_rank_bytes(const WorkSize& work);
    static size_t sums_bytes(const WorkSize& work);
    static size_t group_sums_bytes(const WorkSize& work);
    static size_t linear_scratch_bytes(const WorkSize& work);
    static size_t attention_scratch_bytes(const AttentionShape& shape);
    static size_t attention_shared_bytes(const WorkSize& work);

  private:
    // Calls work(row) for every row, shared among the threads.
    template <class Work>
    void for_rows(size_t n_rows, const Work& work) {
        compute_.pool.for_ranges(n_rows, 1, [&](size_t begin, size_t end, size_t) {
            for (size_t r = begin; r < end; ++r) work(r);
        });
    }

    struct PanelRange;     // cpu_linear.cpp
    struct AttentionTask;  // cpu_attention.cpp
    struct Q8Memory {
        AlignedBuffer<int8_t> values;
        AlignedBuffer<float> scales;
        AlignedBuffer<int16_t> sums;

        Q8Rows rows(size_t n_tokens, size_t n_blocks);
    };
    struct PreparedMemory {
        Q8Memory q8, shifts;
    };
    // What a grid with offsets reads, of n_tokens tokens in groups of group_cols: sum_groups of the Q8Rows whose values
    // are `of`, until those are prepared anew.
    struct GroupSums {
        AlignedBuffer<float> memory;
        const int8_t* of = nullptr;
        size_t group_cols = 0, n_tokens = 0;
    };

    Prepared prepare(const Activations& x, size_t n_rows, std::span<const InputPart> parts, const ActivationMode& mode,
                     PreparedMemory& memory);
    void run_tasks(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks, const ActivationMode& mode);
    void run_alike(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks, const ActivationMode& mode);
    // cpu_low_rank.cpp: appends V x of the tasks that have one; returns where they go, side by side.
    Activations append_low_rank(std::vector<LinearTask>& tasks, size_t n_rows);
    void add_low_rank(std::span<const LinearTask> tasks, const Activations& t, size_t n_rows,
                      const ActivationMode& mode);
    void add_panels(const PanelRange& range, size_t thread);
    void run_panels(const PanelRange& range, size_t thread);
    const float* group_sums_of(const LinearArgs& args, size_t thread);
    void decode_panels(const PanelRange& range, size_t thread);
    void prefill_panels(const PanelRange& range, size_t thread);
    void unpack_panel(const PackedMatrix& w, size_t panel, float* out);
    void float_panels(const PanelRange& range, size_t thread);
    void store_kv(const Activations& k, const Activations& v, std::span<const Segment> segments,
                  const KvGeometry& geometry, size_t layer);
    void attend(const AttentionTask& task, size_t thread);
    void attend_split(std::span<const AttentionTask> tasks);

    Compute compute_;
    PreparedMemory prepared_, low_rank_prepared_;
    AlignedBuffer<float> low_rank_;              // t = V x of all tasks
    std::vector<AlignedBuffer<float>> scratch_;  // one a thread
    std::vector<GroupSums> group_sums_;          // one a thread
    std::vector<AlignedBuffer<float>> sums_;     // one a thread: what is to be added to y, of some panels
    AlignedBuffer<float> split_memory_;          // rows of attention tasks that threads share
    std::vector<float> sin_cos_;                 // of the current batch: (rows, head_dim / 2, 2)
};

}  // namespace gq
