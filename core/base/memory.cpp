// Two sources of zeroed memory: the heap for small pieces, mappings of their own for large ones. See memory.h.
// In: a number of bytes. Out: memory, or Error(out_of_memory). Must not know what is stored in it.
#include "core/base/memory.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace gq {

namespace {

void* map_zeroed(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

// Aligned by hand, with the heap's own pointer in front: glibc before 2.38 finds no room for an aligned piece where one
// of the same size has been, so that a loop that takes and gives back the same pieces would grow without end.
void* allocate_small(size_t bytes) {
    const size_t lines = round_up(bytes, cache_line);
    void* const piece = ::operator new(lines + cache_line, std::nothrow);
    if (piece == nullptr) return nullptr;
    const auto at = reinterpret_cast<uintptr_t>(piece);
    std::byte* const memory = static_cast<std::byte*>(piece) + (round_up(at + sizeof piece, cache_line) - at);
    std::memcpy(memory - sizeof piece, &piece, sizeof piece);
    return std::memset(memory, 0, lines);
}

void free_small(void* memory) {
    void* piece = nullptr;
    std::memcpy(&piece, static_cast<std::byte*>(memory) - sizeof piece, sizeof piece);
    ::operator delete(piece);
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
        free_small(memory);
    }
}

}  // namespace gq
