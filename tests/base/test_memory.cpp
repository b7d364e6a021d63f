// core/base/memory.h: alignment, zeroes, ownership, and sizes that do not fit.
// In: sizes, up to those that no machine has. Out: checks of buffers and of the errors' words.
// Must not know who uses buffers.
#include "core/base/memory.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

using namespace gq;

namespace {

constexpr size_t max_size = std::numeric_limits<size_t>::max();

template <class T>
bool all_zero(const AlignedBuffer<T>& buffer) {
    return std::all_of(buffer.begin(), buffer.end(), [](T x) { return x == 0; });
}

}  // namespace

TEST_SUITE("base") {
    TEST_CASE("checked_mul: exact, or an error that names the operands") {
        CHECK(checked_mul(0, max_size, "x") == 0);
        CHECK(checked_mul(size_t{1} << 31, size_t{1} << 31, "x") == size_t{1} << 62);
        CHECK(checked_mul(max_size, 1, "x") == max_size);
        CHECK_THROWS_WITH_AS(checked_mul(size_t{1} << 32, size_t{1} << 32, "tensor"),
                             "tensor: 4294967296 x 4294967296 overflows", Error);
    }

    TEST_CASE("a piece finds the room of one of its size that was given back") {
        std::vector<AlignedBuffer<float>> kept;  // between them, so that no two rooms become one
        const auto take = [&] {
            const AlignedBuffer<float> piece(100'000);
            kept.emplace_back(50'000);
        };
        for (size_t i = 0; i < 3; ++i) take();  // after which the heap maps none of them by itself
        const size_t before = mallinfo2().arena, n = 30;
        for (size_t i = 0; i < n; ++i) take();
        CHECK(mallinfo2().arena <=
              before + n * 200'000 + 1'000'000);  // those that are kept, no 400 KB each; 0 under a sanitizer
    }

    TEST_CASE("round_up and div_up") {
        CHECK(round_up(0, 16) == 0);
        CHECK(round_up(1, 16) == 16);
        CHECK(round_up(16, 16) == 16);
        CHECK(round_up(17, 5) == 20);
        CHECK(div_up(0, 4) == 0);
        CHECK(div_up(1, 4) == 1);
        CHECK(div_up(4, 4) == 1);
        CHECK(div_up(5, 4) == 2);
    }

    TEST_CASE("aligned buffer: aligned to a cache line, zeroed") {
        for (const size_t size :
             {size_t{1}, size_t{3}, size_t{16}, size_t{1000}, large_bytes / 4 - 1, large_bytes / 4, large_bytes}) {
            CAPTURE(size);
            const AlignedBuffer<float> buffer(size);
            CHECK(buffer.size() == size);
            CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % cache_line == 0);
            CHECK(all_zero(buffer));
        }
        const AlignedBuffer<float> empty(0);
        CHECK(empty.size() == 0);
        CHECK(empty.data() == nullptr);
    }

    TEST_CASE("aligned buffer: moves hand over the memory") {
        AlignedBuffer<int> a(10);
        a[3] = 7;
        const int* memory = a.data();
        AlignedBuffer<int> b(std::move(a));
        CHECK(b.data() == memory);
        CHECK(b[3] == 7);
        AlignedBuffer<int> c(5);
        c = std::move(b);
        CHECK(c.data() == memory);
        CHECK(c.size() == 10);
    }

    TEST_CASE("aligned buffer: reserve_discard grows and never shrinks") {
        AlignedBuffer<int> buffer(10);
        buffer[0] = 1;
        const int* memory = buffer.data();
        buffer.reserve_discard(4);
        CHECK(buffer.data() == memory);
        CHECK(buffer.size() == 10);
        CHECK(buffer[0] == 1);
        buffer.reserve_discard(20);
        CHECK(buffer.size() == 20);
        CHECK(all_zero(buffer));
    }

    TEST_CASE("aligned buffer: sizes that overflow or that no machine has are refused") {
        CHECK_THROWS_WITH_AS(AlignedBuffer<float>(max_size / 2), "buffer: 9223372036854775807 x 4 overflows", Error);
        CHECK_THROWS_WITH_AS(AlignedBuffer<char>(max_size - 5), "buffer: no memory for 18446744073709551610 bytes",
                             Error);
    }
}
