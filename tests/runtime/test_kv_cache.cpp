// The page tables alone: growing, sharing, copying on the first write, giving back, and a budget that is never
// exceeded.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/kernels/compute.h"
#include "core/kernels/cpu_features.h"
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

// One head of 16 dimensions over one sequence of a cache: the outputs (rows, 16) of positions [begin, end).
struct OneHead {
    ThreadPool pool{1};
    std::unique_ptr<Backend> backend;
    KvCache cache;
    OneHead(const char* isa, const KvType& type)
        : backend(make_cpu_backend({pool, kernel_table(isa)})),
          cache(*backend, {.n_layers = 1, .n_kv_heads = 1, .head_dim = 16, .k_type = &type, .v_type = &type}, 4) {}

    std::vector<float> attend(SequenceId sequence, size_t begin, size_t end, float last_value = 0.5f) {
        const size_t n = end - begin;
        std::vector<float> q(n * 32), k(n * 32), v(n * 32), out(n * 32);  // row stride 32
        for (size_t i = 0; i < n * 32; ++i) {
            if (i % 32 >= 16) continue;  // past the width
            const float at = static_cast<float>(begin * 32 + i);
            q[i] = std::sin(at);
            k[i] = std::cos(at);
            v[i] = std::sin(2 * at);
        }
        v[(n - 1) * 32] = last_value;
        cache.reserve(sequence, end);
        const Segment segment{0, n, begin, cache.pages(sequence)};
        const auto rows = [](std::vector<float>& a) { return Activations{a.data(), 32, 16}; };
        backend->attention(rows(q), rows(k), rows(v), {&segment, 1}, cache.geometry(), 0, {1, 1, 16, 0, 0.25f},
                           rows(out));
        cache.commit(sequence, end);
        return out;
    }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b, size_t n) {
    return std::memcmp(a.data(), b.data(), n * sizeof(float)) == 0;
}

void on_every_isa(const std::function<void(const char*, const KvType&)>& check) {
    for (const char* isa : known_isas())
        for (const KvType* type : all_kv_types())
            if (cpu_can_run(isa)) check(isa, *type);
}

}  // namespace

TEST_SUITE("runtime") {
    TEST_CASE("attention: what a page held before, or holds behind a sequence's end, reaches no other sequence") {
        on_every_isa([](const char* isa, const KvType& type) {
            CAPTURE(isa);
            CAPTURE(std::string(type.name));
            OneHead clean(isa, type), used(isa, type);
            const std::vector<float> expected = clean.attend(1, 0, 70);
            CHECK(std::all_of(expected.begin(), expected.end(), [](float x) { return std::isfinite(x); }));
            // Two pages full of NaNs, whatever the type, go back to the cache; another sequence takes them.
            used.cache.reserve(7, 128);
            used.cache.commit(7, 128);
            for (size_t page = 0; page < 2; ++page)
                std::fill_n(used.cache.pages(7)[page], used.cache.geometry().page_bytes(), std::byte{0xFF});
            used.cache.truncate(7, 0);
            CHECK(same_bits(expected, used.attend(1, 0, 70), expected.size()));
            // A sequence cut inside a page goes on over its own leftovers.
            used.attend(1, 70, 80, INFINITY);
            used.cache.truncate(1, 70);
            CHECK(same_bits(clean.attend(1, 70, 75), used.attend(1, 70, 75), 5 * 32));
        });
    }

    TEST_CASE("attention: an infinite value of a later token does not reach the earlier ones of its pass") {
        on_every_isa([](const char* isa, const KvType& type) {
            CAPTURE(isa);
            CAPTURE(std::string(type.name));
            OneHead finite(isa, type), infinite(isa, type);
            const std::vector<float> expected = finite.attend(1, 0, 40), found = infinite.attend(1, 0, 40, INFINITY);
            CHECK(same_bits(expected, found, 39 * 32));
            CHECK_FALSE(std::isfinite(found[39 * 32]));
        });
    }

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
