// Aligned storage and checked sizes for the whole of core/.
// In: element counts. Out: 64-byte aligned buffers that own their memory, or Error(out_of_memory).
// Must not know what is stored in them.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
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

// A fixed-size array of trivial elements, 64-byte aligned, zeroed at birth, movable, not copyable.
template <class T>
class AlignedBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t size) : size_(size) {
        if (size == 0) return;
        const size_t bytes = round_up(checked_mul(size, sizeof(T), "buffer"), cache_line);
        if (bytes < size)
            fail(Status::invalid_argument, "buffer: %zu bytes do not round up to cache lines", size * sizeof(T));
        data_ = static_cast<T*>(::operator new (bytes, std::align_val_t{cache_line}, std::nothrow));
        if (data_ == nullptr) fail(Status::out_of_memory, "buffer: no memory for %zu bytes", bytes);
        std::memset(static_cast<void*>(data_), 0, bytes);
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
    ~AlignedBuffer() { ::operator delete (data_, std::align_val_t{cache_line}); }

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
