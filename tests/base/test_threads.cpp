// core/base/threads.h: every thread runs once, ranges and items are covered once, exceptions arrive, pools live side by
// side.
// In: pools of 1 to many threads. Out: checks that hold for every interleaving. Must not count on free cores.
#include "core/base/threads.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/base/status.h"

using namespace gq;

namespace {

// 64: far more threads than cores, so that most of a run is waiting.
const size_t pool_sizes[] = {1, 2, 3, 5, 64};

}  // namespace

TEST_SUITE("base") {
    TEST_CASE("thread pool: run calls every thread once, and the caller is thread 0") {
        for (const size_t size : pool_sizes) {
            CAPTURE(size);
            ThreadPool pool(size);
            CHECK(pool.size() == size);
            std::vector<int> calls(size);
            std::vector<std::thread::id> ids(size);
            for (int repetition = 0; repetition < 20; ++repetition) {
                pool.run([&](size_t thread) {
                    ++calls[thread];  // plain ints: the pool itself must order the threads (checked by the thread
                                      // sanitizer)
                    ids[thread] = std::this_thread::get_id();
                });
            }
            CHECK(calls == std::vector<int>(size, 20));
            CHECK(ids[0] == std::this_thread::get_id());
            for (size_t i = 1; i < size; ++i) CHECK(ids[i] != ids[0]);
        }
    }

    TEST_CASE("thread pool: what the threads wrote is seen by the next run, at once and after a sleep") {
        ThreadPool pool(3);
        std::vector<size_t> values(3);
        size_t expected = 0;
        for (int run = 0; run < 2000; ++run) {
            if (run % 500 == 499)
                std::this_thread::sleep_for(std::chrono::milliseconds(2));  // far beyond the spin: all workers sleep
            pool.run([&](size_t thread) { values[thread] = values[thread] + thread + 1; });
            expected += 6;
            REQUIRE(std::accumulate(values.begin(), values.end(), size_t{0}) == expected);
        }
    }

    TEST_CASE("thread pool: a worker that is late is waited for") {
        ThreadPool pool(2);
        bool late_done = false;
        pool.run([&](size_t thread) {
            if (thread == 1) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
                late_done = true;
            }
        });
        CHECK(late_done);
    }

    TEST_CASE("thread pool: for_ranges covers [0, n) once, with borders at multiples of the grain") {
        for (const size_t size : pool_sizes) {
            ThreadPool pool(size);
            for (const size_t n : {0, 1, 7, 16, 17, 100, 1000}) {
                for (const size_t grain : {1, 4, 16, 5000}) {
                    CAPTURE(size);
                    CAPTURE(n);
                    CAPTURE(grain);
                    std::vector<int> covered(n);
                    std::vector<int> calls(size), wrong(size);
                    pool.for_ranges(n, grain, [&](size_t begin, size_t end, size_t thread) {
                        ++calls[thread];
                        wrong[thread] += !(begin < end) || begin % grain != 0 || (end % grain != 0 && end != n);
                        for (size_t i = begin; i < end; ++i) ++covered[i];
                    });
                    CHECK(covered == std::vector<int>(n, 1));
                    CHECK(wrong == std::vector<int>(size, 0));
                    CHECK(*std::max_element(calls.begin(), calls.end()) <= 1);
                }
            }
        }
    }

    TEST_CASE("thread pool: for_ranges shares evenly") {
        ThreadPool pool(3);
        std::vector<size_t> lengths(3);
        pool.for_ranges(100, 1, [&](size_t begin, size_t end, size_t thread) { lengths[thread] = end - begin; });
        CHECK(lengths == std::vector<size_t>{33, 33, 34});
    }

    TEST_CASE("thread pool: for_shares covers [0, n) once, with borders at multiples of the grain") {
        for (const size_t size : pool_sizes) {
            ThreadPool pool(size);
            for (const size_t n : {0, 1, 7, 16, 100, 1000, 10001}) {
                for (const size_t grain : {1, 4, 16}) {
                    CAPTURE(size);
                    CAPTURE(n);
                    CAPTURE(grain);
                    const bool in_pieces = size > 1 && (n + grain - 1) / grain >= 8 * size;
                    std::vector<int> covered(n);
                    std::vector<int> wrong(size);
                    std::atomic<size_t> calls{0};
                    pool.for_shares(n, grain, [&](size_t begin, size_t end, size_t thread) {
                        ++calls;
                        wrong[thread] +=
                            !(begin < end) || (in_pieces && (begin % grain != 0 || (end % grain && end != n)));
                        for (size_t i = begin; i < end; ++i) ++covered[i];
                    });
                    CHECK(covered == std::vector<int>(n, 1));
                    CHECK(wrong == std::vector<int>(size, 0));
                    CHECK((in_pieces ? calls >= 8 * size : calls <= size));
                }
            }
        }
    }

    TEST_CASE("thread pool: for_shares lets the others do what a thread that is held up has not begun") {
        ThreadPool pool(3);
        std::atomic<size_t> left{240};
        std::vector<size_t> done(3);
        pool.for_shares(240, 1, [&](size_t begin, size_t end, size_t thread) {
            left -= end - begin;
            done[thread] += end - begin;
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
            while (thread == 0 && left != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        });
        CHECK(done[0] <= 10);
        CHECK(done[0] + done[1] + done[2] == 240);
    }

    TEST_CASE("thread pool: for_each hands out every item once") {
        for (const size_t size : pool_sizes) {
            ThreadPool pool(size);
            for (const size_t n : {0, 1, 2, 3, 50, 999}) {
                CAPTURE(size);
                CAPTURE(n);
                std::vector<int> calls(n), wrong(size);
                pool.for_each(n, [&](size_t i, size_t thread) {
                    ++calls[i];
                    wrong[thread] += thread >= size;
                });
                CHECK(calls == std::vector<int>(n, 1));
                CHECK(wrong == std::vector<int>(size, 0));
            }
        }
    }

    TEST_CASE(
        "thread pool: an exception of any thread reaches the caller after all threads are done, and the pool goes on") {
        for (const size_t size : {1, 2, 5}) {
            ThreadPool pool(size);
            for (size_t thrower = 0; thrower < size; ++thrower) {
                CAPTURE(size);
                CAPTURE(thrower);
                std::atomic<size_t> n_called{0};
                CHECK_THROWS_WITH_AS(pool.run([&](size_t thread) {
                    ++n_called;
                    if (thread == thrower) fail(Status::numeric, "thread %zu gave up", thread);
                }),
                                     ("thread " + std::to_string(thrower) + " gave up").c_str(), Error);
                CHECK(n_called == size);
                n_called = 0;
                pool.run([&](size_t) { ++n_called; });
                CHECK(n_called == size);
            }
        }
    }

    TEST_CASE("thread pool: when all threads throw, one exception is rethrown") {
        ThreadPool pool(4);
        CHECK_THROWS_AS(pool.run([](size_t) { throw std::out_of_range("all"); }), std::out_of_range);
        CHECK_NOTHROW(pool.run([](size_t) {}));
    }

    TEST_CASE("thread pool: for_each hands out nothing more after an exception") {
        ThreadPool pool(1);
        size_t n_called = 0;
        CHECK_THROWS_AS(pool.for_each(100,
                                      [&](size_t i, size_t) {
                                          ++n_called;
                                          if (i == 9) throw std::out_of_range("tenth");
                                      }),
                        std::out_of_range);
        CHECK(n_called == 10);
    }

    TEST_CASE("thread pool: run within run is refused, not a deadlock") {
        for (const size_t size : {1, 3}) {
            CAPTURE(size);
            ThreadPool pool(size);
            CHECK_THROWS_WITH_AS(pool.run([&](size_t thread) {
                if (thread == 0) pool.run([](size_t) {});
            }),
                                 "thread pool: run() was called while a run() of the same pool is under way", Error);
            CHECK_NOTHROW(pool.run([](size_t) {}));
        }
        ThreadPool pool(2);
        std::vector<std::atomic<int>> covered(100);
        CHECK_THROWS_AS(pool.for_shares(100, 1,
                                        [&](size_t begin, size_t end, size_t) {
                                            for (size_t i = begin; i < end; ++i) ++covered[i];
                                            pool.for_shares(100, 1, [](size_t, size_t, size_t) {});
                                        }),
                        Error);
        for (const std::atomic<int>& times : covered) CHECK(times <= 1);
        CHECK_NOTHROW(pool.run([](size_t) {}));
    }

    TEST_CASE("thread pool: pools work side by side") {
        std::vector<size_t> sums(4);
        std::vector<std::thread> callers;
        for (size_t caller = 0; caller < sums.size(); ++caller) {
            callers.emplace_back([&, caller] {
                ThreadPool pool(3);
                for (int run = 0; run < 200; ++run) {
                    std::vector<size_t> parts(3);
                    pool.for_each(30, [&](size_t i, size_t thread) { parts[thread] += i; });
                    sums[caller] += parts[0] + parts[1] + parts[2];
                }
            });
        }
        for (std::thread& caller : callers) caller.join();
        CHECK(sums == std::vector<size_t>(4, 200 * 435));
    }

    TEST_CASE("thread pool: an unused pool ends, and an absurd size is refused") {
        { ThreadPool pool(3); }
        CHECK_THROWS_WITH_AS(ThreadPool(1000000), "thread pool: expected at most 4096 threads, found 1000000", Error);
    }

    TEST_CASE("thread pool: size 0 means the default count, which follows the affinity mask") {
        CHECK(ThreadPool(0).size() == default_thread_count());
        cpu_set_t before, one;
        REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
        int cpu = 0;
        while (!CPU_ISSET(cpu, &before)) ++cpu;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
        const size_t count = default_thread_count();
        REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
        CHECK(count == 1);
        CHECK(default_thread_count() >= 1);
        CHECK(default_thread_count() <= std::thread::hardware_concurrency());
    }
}
