// Aligned storage and checked sizes for the whole of core/.
// In: element counts. Out: 64-byte aligned buffers that own their memory, or Error(out_of_memory).
// Must not know what is stored in them.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "core/base/status.h"

namespace gq {

inline constexpr size_t cache_line = 64;

// a * b, or Error(invalid_argument) naming `what` where the product does not fit size_t.
inline size_t checked_mul(size_t a, size_t b, const char* what) {
    size_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) fail(Status::invalid_argument, "%s: %zu x %zu overflows", what, a, b);
    return product;
}

constexpr size_t round_up(size_t n, size_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}
constexpr size_t div_up(size_t n, size_t divisor) {
    return (n + divisor - 1) / divisor;
}

// Zeroed memory, 64-byte aligned. From large_bytes on it is mapped by itself and goes back to the system when it is
// freed, so that the large matrices of one block leave no holes for the next. Error(out_of_memory).
inline constexpr size_t large_bytes = size_t{4} << 20;
void* allocate_zeroed(size_t bytes);
void free_zeroed(void* memory, size_t bytes) noexcept;  // bytes as they were asked for

// A fixed-size array of trivial elements, 64-byte aligned, zeroed at birth, movable, not copyable.
template <class T>
class AlignedBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t size) : size_(size) {
        if (size == 0) return;
        data_ = static_cast<T*>(allocate_zeroed(checked_mul(size, sizeof(T), "buffer")));
    }
    AlignedBuffer(AlignedBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    ~AlignedBuffer() { free_zeroed(data_, size_ * sizeof(T)); }

    // Makes room for at least `size` elements; the old content is lost when it grows.
    void reserve_discard(size_t size) {
        if (size > size_) *this = AlignedBuffer(size);
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }

  private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace gq
