// Two sources of zeroed memory: the heap for small pieces, mappings of their own for large ones. See memory.h.
// In: a number of bytes. Out: memory, or Error(out_of_memory). Must not know what is stored in it.
#include "core/base/memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace gq {

namespace {

void* map_zeroed(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

void* allocate_small(size_t bytes) {
    const size_t lines = round_up(bytes, cache_line);
    void* memory = ::operator new (lines, std::align_val_t{cache_line}, std::nothrow);
    return memory ? std::memset(memory, 0, lines) : nullptr;
}

}  // namespace

void* allocate_zeroed(size_t bytes) {
    void* memory = bytes >= large_bytes ? map_zeroed(bytes) : allocate_small(bytes);
    if (memory == nullptr) fail(Status::out_of_memory, "buffer: no memory for %zu bytes", bytes);
    return memory;
}

void free_zeroed(void* memory, size_t bytes) noexcept {
    if (memory == nullptr) return;
    if (bytes >= large_bytes) {
        munmap(memory, bytes);
    } else {
        ::operator delete (memory, std::align_val_t{cache_line});
    }
}

}  // namespace gq
