// The simple operations of the CPU backend; linear and attention have their own files. See cpu_backend.h.
// In: rows of activations. Out: rows, each computed by one thread through the KernelTable.
// Must not know instruction sets or what a step is for.
#include "core/kernels/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "core/kernels/math.h"

namespace gq {

CpuBackend::CpuBackend(const Compute& compute)
    : compute_(compute), scratch_(compute.pool.size()), group_sums_(compute.pool.size()), sums_(compute.pool.size()) {}

// A cache line in front says how long the memory is. What is large is zeroed by the system page by page when it is
// touched: a session makes room for hundreds of rows, and its first token may need one.
void* CpuBackend::allocate(size_t bytes) {
    const size_t size = round_up(bytes == 0 ? 1 : bytes, cache_line) + cache_line;
    std::byte* memory = static_cast<std::byte*>(allocate_zeroed(size));
    std::memcpy(memory, &size, sizeof size);
    return memory + cache_line;
}

void CpuBackend::release(void* memory) noexcept {
    std::byte* const begin = static_cast<std::byte*>(memory) - cache_line;
    size_t size = 0;
    std::memcpy(&size, begin, sizeof size);
    free_zeroed(begin, size);
}

void CpuBackend::copy(const void* from, size_t bytes, void* to) {
    std::memcpy(to, from, bytes);
}
void CpuBackend::read(const void* memory, size_t bytes, void* host) {
    std::memcpy(host, memory, bytes);
}

void CpuBackend::embed(const PackedMatrix& table, std::span<const int32_t> ids, const Activations& out) {
    for_rows(ids.size(), [&](size_t r) {
        const size_t id = static_cast<size_t>(ids[r]);
        unpack_rows(table, id, id + 1, out.row(r), out.stride);
    });
}

void CpuBackend::center(const Activations& x, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { center_row(x.row(r), x.width, out.row(r)); });
}

void CpuBackend::rms_norm(const Activations& x, size_t n_rows, const float* weight, float eps, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { compute_.kernels.rms_norm(x.row(r), weight, eps, x.width, out.row(r)); });
}

void CpuBackend::rope(const Activations& x, std::span<const int32_t> positions, size_t n_heads, size_t head_dim,
                      const float* inv_freq) {
    const size_t half = head_dim / 2;
    const size_t n_rows = positions.size();
    sin_cos_.resize(n_rows * head_dim);
    compute_.pool.for_ranges(n_rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) {
            float* turn = &sin_cos_[r * head_dim];
            for (size_t i = 0; i < half; ++i) {
                // The angle is rounded to float, as the reference implementations round it.
                const float angle = static_cast<float>(positions[r]) * inv_freq[i];
                turn[i] = cos_f32(angle);
                turn[half + i] = sin_f32(angle);
            }
            for (size_t h = 0; h < n_heads; ++h) {
                float* head = x.row(r) + h * head_dim;
                for (size_t i = 0; i < half; ++i) {
                    const float a = head[i], b = head[half + i];
                    head[i] = a * turn[i] - b * turn[half + i];
                    head[half + i] = b * turn[i] + a * turn[half + i];
                }
            }
        }
    });
}

void CpuBackend::silu_mul(const Activations& gate, const Activations& up, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { compute_.kernels.silu_mul(gate.row(r), up.row(r), gate.width, out.row(r)); });
}

void CpuBackend::relu(const Activations& x, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { relu_row(x.row(r), x.width, out.row(r)); });
}

void CpuBackend::gelu(const Activations& x, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { gelu_row(x.row(r), x.width, out.row(r)); });
}

void CpuBackend::gather_rows(const Activations& x, std::span<const size_t> rows, const Activations& out) {
    for (size_t r = 0; r < rows.size(); ++r) std::memcpy(out.row(r), x.row(rows[r]), x.width * sizeof(float));
}

void CpuBackend::add(const Activations& x, const Activations& y, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { add_rows(x.row(r), y.row(r), x.width, out.row(r)); });
}

void CpuBackend::add_bias(const Activations& x, const float* bias, size_t n_rows, const Activations& out) {
    for_rows(n_rows, [&](size_t r) { add_rows(x.row(r), bias, x.width, out.row(r)); });
}

size_t cpu_backend_bytes(const WorkSize& work) {
    const size_t scratch =
        std::max(CpuBackend::linear_scratch_bytes(work), CpuBackend::attention_scratch_bytes(work.attention));
    const size_t sin_cos = checked_mul(work.n_rows, work.attention.head_dim * sizeof(float), "backend") + cache_line;
    return sin_cos + CpuBackend::prepared_bytes(work, work.linear_in) +
           checked_mul(work.n_threads, round_up(scratch, cache_line), "backend") + CpuBackend::low_rank_bytes(work) +
           CpuBackend::sums_bytes(work) + CpuBackend::group_sums_bytes(work) + CpuBackend::attention_shared_bytes(work);
}

std::unique_ptr<Backend> make_cpu_backend(const Compute& compute) {
    return std::make_unique<CpuBackend>(compute);
}

}  // namespace gq
