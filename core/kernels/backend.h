// What a forward pass asks of a machine: one function per kind of step, on buffers that the machine owns.
// In: shapes, weights, and buffers from allocate(). Out: other buffers. cpu_backend.cpp performs it with a KernelTable
// and threads; a GPU is another one. Must not know models or sessions: shapes of a call are complete, and no operation
// reaches memory that it was not given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "core/kernels/kernels.h"
#include "core/kernels/kv.h"

namespace gq {

// How integer codes meet activations; activation_modes.h has a row for each. Float codes compute in f32 in all.
enum class Precision : uint8_t {
    int8_activations,  // the fast path: int8 with a scale for every 32 inputs
    int8_token,        // one scale for a token
    int8_group,        // one for each group of the weights: at least 32 inputs, and for groups of a row the row
    int8_token_asym,   // as these, with the middle of the range taken off first
    int8_group_asym,
    exact,  // dequantized weights x f32 activations: calibration, and the yardstick of the fast path
};

// Activations of a batch: (rows, width), row stride `stride` >= width rounded up to 32; columns past width stay zero.
struct Activations {
    float* data = nullptr;
    size_t stride = 0;
    size_t width = 0;
    float* row(size_t r) const { return data + r * stride; }
};

// A correction of low rank beside a weight matrix: y += U (V x). Integer codes in panels, one group a row; the rank is
// a multiple of 16.
struct LowRank {
    PackedMatrix u, v;  // (out, rank), (rank, in); no codes: there is none

    bool empty() const { return u.codes == nullptr; }
    size_t rank() const { return v.rows; }
};

// y = W x, then y += bias, then y += U (V x). With a low rank, t = V x is a linear of its own under the contracts of
// kernels.h, on the same x; U t is another one, on t prepared as any activations are (in 8 bits: t alone, by the groups
// of U); and each y takes its element of U t by one addition. Integer codes in an asymmetric mode multiply twice, with
// both halves of quantize_spans: each element of y takes that of W shifts by one addition, after the bias; so does t
// that of V shifts; and after U t, y that of U times the shifts of t.
struct LinearTask {
    const PackedMatrix* weights = nullptr;  // (out, in)
    const float* bias = nullptr;            // (out) or null
    Activations y;                          // (rows, out)
    const LowRank* low_rank = nullptr;      // null or empty: none
};

// A page holds 64 consecutive positions of one sequence for all layers. Per layer: the keys of all heads, then the
// values of all heads, each head's block as its type packs it (kv.h).
struct KvGeometry {
    size_t n_layers = 0, n_kv_heads = 0, head_dim = 0;
    const KvType* k_type = &default_kv_type();
    const KvType* v_type = &default_kv_type();

    size_t k_bytes() const { return k_type->k_bytes(head_dim); }  // of a head
    size_t v_bytes() const { return v_type->v_bytes(head_dim); }
    size_t layer_bytes() const { return n_kv_heads * (k_bytes() + v_bytes()); }
    size_t page_bytes() const { return n_layers * layer_bytes(); }
    size_t k_offset(size_t layer, size_t head) const { return layer * layer_bytes() + head * k_bytes(); }
    size_t v_offset(size_t layer, size_t head) const {
        return layer * layer_bytes() + n_kv_heads * k_bytes() + head * v_bytes();
    }
};

// Rows of a batch that are consecutive positions of one sequence.
struct Segment {
    size_t first_row = 0, n_rows = 0;
    size_t first_position = 0;
    // pages[i] holds positions 64 i … 64 i + 63; complete up to the segment's last position.
    std::byte* const* pages = nullptr;
};

struct AttentionShape {
    size_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
    size_t window = 0;   // a key is seen when query - key < window; 0: all keys up to the query
    float scale = 1;     // applied to q · k
    bool alibi = false;  // scores fall with the distance of the key: add_alibi() of math.h

    bool operator==(const AttentionShape&) const = default;
};

class Backend {
  public:
    virtual ~Backend() = default;

    // Zeroed memory of the machine, at least 64-byte aligned; given back by release().
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* memory) noexcept = 0;
    // From one place of the machine's memory to another.
    virtual void copy(const void* from, size_t bytes, void* to) = 0;
    // An explicit copy to the host's memory.
    virtual void read(const void* memory, size_t bytes, void* host) = 0;

    virtual void embed(const PackedMatrix& table, std::span<const int32_t> ids, const Activations& out) = 0;
    // out = x - its row's mean.
    virtual void center(const Activations& x, size_t n_rows, const Activations& out) = 0;
    virtual void rms_norm(const Activations& x, size_t n_rows, const float* weight, float eps,
                          const Activations& out) = 0;
    // All tasks read the same x (prepared once) and are one unit of work: q, k, v; gate, up.
    virtual void linear(const Activations& x, size_t n_rows, std::span<const LinearTask> tasks,
                        Precision precision) = 0;
    // Rotates pairs (i, i + head_dim / 2) of each head by position * inv_freq[i] (half-split order).
    virtual void rope(const Activations& x, std::span<const int32_t> positions, size_t n_heads, size_t head_dim,
                      const float* inv_freq) = 0;
    // Writes k and v (rows, kv_heads * head_dim) into the pages, then reads everything back from there:
    // out (rows, heads * head_dim).
    virtual void attention(const Activations& q, const Activations& k, const Activations& v,
                           std::span<const Segment> segments, const KvGeometry& geometry, size_t layer,
                           const AttentionShape& shape, const Activations& out) = 0;
    virtual void silu_mul(const Activations& gate, const Activations& up, size_t n_rows, const Activations& out) = 0;
    virtual void relu(const Activations& x, size_t n_rows, const Activations& out) = 0;
    virtual void gelu(const Activations& x, size_t n_rows, const Activations& out) = 0;  // gelu() of math.h
    // out row i = x row rows[i].
    virtual void gather_rows(const Activations& x, std::span<const size_t> rows, const Activations& out) = 0;
    virtual void add(const Activations& x, const Activations& y, size_t n_rows, const Activations& out) = 0;
    // bias: (width).
    virtual void add_bias(const Activations& x, const float* bias, size_t n_rows, const Activations& out) = 0;
};

// The largest calls that a network makes of a backend.
struct WorkSize {
    size_t n_rows = 0, n_threads = 0;
    size_t linear_in = 0;  // inputs of the widest linear
    size_t low_rank = 0;   // the largest sum of ranks, each rounded up to 32, of linears that share an input
    AttentionShape attention;
    Precision precision = Precision::int8_activations;
};
// Bytes at most that a CPU backend keeps for itself between such calls, beside what allocate() gave.
size_t cpu_backend_bytes(const WorkSize& work);

struct Compute;  // compute.h: a thread pool and a kernel table
// Keeps references to both of `compute`'s members.
std::unique_ptr<Backend> make_cpu_backend(const Compute& compute);

// Memory of a Backend, given back when it goes.
template <class T>
class BackendBuffer {
  public:
    BackendBuffer() = default;
    BackendBuffer(Backend& backend, size_t n)
        : backend_(&backend), data_(static_cast<T*>(backend.allocate(n * sizeof(T)))), size_(n) {}
    BackendBuffer(BackendBuffer&& other) noexcept { swap(other); }
    BackendBuffer& operator=(BackendBuffer&& other) noexcept {
        swap(other);
        return *this;
    }
    BackendBuffer(const BackendBuffer&) = delete;
    BackendBuffer& operator=(const BackendBuffer&) = delete;
    ~BackendBuffer() {
        if (data_) backend_->release(data_);
    }
    T* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    void swap(BackendBuffer& other) noexcept {
        std::swap(backend_, other.backend_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }
    Backend* backend_ = nullptr;
    T* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace gq
