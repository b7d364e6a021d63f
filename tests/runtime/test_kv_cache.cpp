// The page tables alone: growing, sharing, copying on the first write, giving back, and a budget that is never exceeded.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "core/base/status.h"
#include "core/kernels/compute.h"
#include "core/runtime/kv_cache.h"

namespace {

using namespace gq;

// A cache of at most `max_pages` small pages.
struct Fixture {
    ThreadPool pool{1};
    std::unique_ptr<Backend> backend = make_cpu_backend({pool, kernel_table("scalar")});
    KvCache cache;
    explicit Fixture(size_t max_pages) : cache(*backend, {.n_layers = 1, .n_kv_heads = 1, .head_dim = 16}, max_pages) {}

    void grow(SequenceId sequence, size_t n_positions) {
        cache.reserve(sequence, n_positions);
        cache.commit(sequence, n_positions);
    }
    // Stands for what attention writes: the page's first byte.
    std::byte& first_byte(SequenceId sequence, size_t page) { return *cache.pages(sequence)[page]; }
};

}  // namespace

TEST_SUITE("runtime") {
    TEST_CASE("kv cache: pages come one for 64 positions, and go back when a sequence shrinks") {
        Fixture f(4);
        CHECK(f.cache.length(7) == 0);
        f.grow(7, 64);
        CHECK(f.cache.pages_in_use() == 1);
        f.grow(7, 65);
        CHECK(f.cache.pages_in_use() == 2);
        f.grow(7, 200);
        CHECK(f.cache.pages_in_use() == 4);
        f.cache.truncate(7, 64);
        CHECK(f.cache.length(7) == 64);
        CHECK(f.cache.pages_in_use() == 1);
        f.cache.truncate(7, 100);  // longer than it is: nothing to forget
        CHECK(f.cache.length(7) == 64);
        f.cache.reserve(7, 192);
        CHECK(f.cache.pages_in_use() == 3);
        f.cache.truncate(7, 64);  // what was reserved and not used
        CHECK(f.cache.pages_in_use() == 1);
        f.cache.truncate(7, 0);
        CHECK(f.cache.length(7) == 0);
        CHECK(f.cache.pages_in_use() == 0);
    }

    TEST_CASE("kv cache: a spent budget is an error that names it, gives back what it took and changes no length") {
        Fixture f(3);
        f.grow(1, 64);
        CHECK(f.cache.has_room(1, 192));
        CHECK_FALSE(f.cache.has_room(1, 193));
        CHECK_FALSE(f.cache.has_room(2, 129));
        CHECK_THROWS_WITH_AS(f.cache.reserve(2, 129), doctest::Contains("all 3 pages of 64 positions"), Error);
        CHECK(f.cache.length(2) == 0);
        CHECK(f.cache.pages_in_use() == 1);
        f.grow(2, 128);  // what does fit still does
        CHECK(f.cache.pages_in_use() == 3);
    }

    TEST_CASE("kv cache: forks share pages, and whoever writes first to the open page gets its own") {
        Fixture f(8);
        f.grow(1, 100);
        f.first_byte(1, 1) = std::byte{42};
        f.cache.fork(1, 2);
        CHECK(f.cache.length(2) == 100);
        CHECK(f.cache.pages_in_use() == 2);
        f.cache.reserve(2, 101);
        CHECK(f.cache.pages_in_use() == 3);
        CHECK(f.cache.pages(1)[0] == f.cache.pages(2)[0]);
        CHECK(f.cache.pages(1)[1] != f.cache.pages(2)[1]);
        CHECK(f.first_byte(2, 1) == std::byte{42});
        std::byte* const page = f.cache.pages(1)[1];
        f.cache.reserve(1, 101);  // nobody else reads it any more
        CHECK(f.cache.pages(1)[1] == page);
        CHECK(f.cache.pages_in_use() == 3);
    }

    TEST_CASE("kv cache: a sequence cut back into a page that others read does not write there") {
        Fixture f(8);
        f.grow(1, 128);
        f.first_byte(1, 1) = std::byte{1};
        f.cache.fork(1, 2);
        f.cache.truncate(2, 70);
        f.cache.reserve(2, 71);
        f.first_byte(2, 1) = std::byte{2};
        CHECK(f.first_byte(1, 1) == std::byte{1});
    }

    TEST_CASE("kv cache: the copy of a shared page counts as a page") {
        Fixture f(2);
        f.grow(1, 100);
        f.cache.fork(1, 2);
        CHECK_FALSE(f.cache.has_room(2, 101));
        CHECK_THROWS_AS(f.cache.reserve(2, 101), Error);
        CHECK(f.cache.length(2) == 100);
        f.cache.truncate(1, 0);
        CHECK(f.cache.pages_in_use() == 2);  // the other still reads both
        CHECK(f.cache.has_room(2, 101));
        f.grow(2, 101);
        f.cache.truncate(2, 0);
        CHECK(f.cache.pages_in_use() == 0);
    }

    TEST_CASE("kv cache: forking replaces the target, and an unknown source leaves it empty") {
        Fixture f(4);
        f.grow(1, 64);
        f.grow(2, 128);
        f.cache.fork(1, 2);
        CHECK(f.cache.length(2) == 64);
        CHECK(f.cache.pages_in_use() == 1);
        f.cache.fork(9, 2);
        CHECK(f.cache.length(2) == 0);
        f.cache.fork(1, 1);
        CHECK(f.cache.length(1) == 64);
        CHECK(f.cache.pages_in_use() == 1);
    }
}
