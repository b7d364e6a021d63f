// The thread pool: workers that sleep between jobs, and a barrier that spins shortly before it sleeps.
// In: a function per job. Out: its effects on every thread, made visible to the caller by the barrier. See threads.h.
//
//   caller:  work = f;  epoch += 1 (release) ── f(0) ── pending -= 1 ── waits until pending == 0 (acquire)
//   worker:  waits until epoch changes (acquire) ── f(i) ── pending -= 1 (release) ── waits again
//
// Both waits spin and then sleep in the kernel, so that an idle pool costs nothing.
#include "core/base/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/memory.h"
#include "core/base/status.h"

namespace gq {

namespace {

// Two threads that stream from memory need times for the same work that differ by a tenth of a millisecond and more,
// and a wake-up takes as long: on Sapphire Rapids decode read 25.9 GB/s when waits spun for up to 0.4 ms, 20.3 when
// they slept after 20 us. Where there are fewer free cores than threads it is the other way round, 5.0 and 9.7: whoever
// spins holds the core that another one needs. So a wait that is longer while others are at work, be it that they were
// held up or that the work is long, makes the pool wary: for some runs its waits are short.
using std::chrono::microseconds;
constexpr microseconds usual_spin{500}, wary_spin{20};
constexpr int wary_runs = 128;  // two tokens' of 16 blocks: one long wait in so many is a loss of a few percent
// A piece is that part of what is left of a share: the last ones are small, so that the wait for them is short. With
// eighths of a whole share threads waited 5 % of a decode's time, so 4.2 %.
constexpr size_t parts_of_rest = 8, fewest_pieces = parts_of_rest;
constexpr size_t max_threads = 4096;  // far above any machine; catches a size that was computed wrongly

void relax_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// What is left of a thread's share, in grains.
struct alignas(cache_line) Share {
    std::atomic<size_t> next{0};
    size_t end = 0;

    // Takes a part of what is left, one grain at least; returns how many, 0 when nothing is left.
    size_t take(size_t& begin) {
        begin = next.load(std::memory_order_relaxed);
        for (size_t count; begin < end;) {
            count = div_up(end - begin, parts_of_rest);
            if (next.compare_exchange_weak(begin, begin + count, std::memory_order_relaxed)) return count;
        }
        return 0;
    }
};

// Whether `value` has become another than `old` meanwhile, with acquire order.
bool changes_within(microseconds time, const std::atomic<int>& value, int old) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    do {
        for (int i = 0; i < 16; ++i) {
            if (value.load(std::memory_order_acquire) != old) return true;
            relax_cpu();
        }
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
}

}  // namespace

struct ThreadPool::State {
    using Work = FunctionRef<void(size_t)>;

    explicit State(size_t n_threads) : size(n_threads) {
        threads.reserve(size - 1);
        for (size_t i = 1; i < size; ++i) start(i);
    }
    ~State() { stop(); }

    void start(size_t index) {
        try {
            threads.emplace_back([this, index] { serve(index); });
        } catch (const std::system_error& error) {
            stop();
            fail(Status::out_of_memory, "thread pool: cannot start thread %zu of %zu: %s", index, size, error.what());
        }
    }

    void stop() {
        stopping = true;  // published by the release of epoch
        next_epoch();
        for (std::thread& thread : threads) thread.join();
    }

    void next_epoch() {
        epoch.fetch_add(1, std::memory_order_release);
        epoch.notify_all();
    }

    void serve(size_t index) {
        for (int seen = 0;;) {
            wait_while_equal(epoch, seen);
            seen = epoch.load(std::memory_order_acquire);
            if (stopping) return;
            call(index);
            if (pending.fetch_sub(1, std::memory_order_acq_rel) == 1) pending.notify_one();
        }
    }

    void call(size_t index) noexcept {
        try {
            (*work)(index);
        } catch (...) {
            const std::lock_guard lock(error_mutex);
            if (!error) error = std::current_exception();
        }
    }

    void begin_run() {
        if (const int left = wary_for.load(std::memory_order_relaxed); left > 0)
            wary_for.store(left - 1, std::memory_order_relaxed);
        pending.store(static_cast<int>(size), std::memory_order_relaxed);
        next_epoch();
    }

    void end_run() {
        pending.fetch_sub(1, std::memory_order_acq_rel);
        for (int left; (left = pending.load(std::memory_order_acquire)) != 0;) wait_while_equal(pending, left);
    }

    // Returns when `value` is no longer `old`, with acquire order.
    void wait_while_equal(const std::atomic<int>& value, int old) {
        const bool wary = wary_for.load(std::memory_order_relaxed) > 0;
        if (changes_within(wary ? wary_spin : usual_spin, value, old)) return;
        if (!wary && pending.load(std::memory_order_relaxed) != 0) wary_for.store(wary_runs, std::memory_order_relaxed);
        value.wait(old, std::memory_order_acquire);
    }

    const size_t size;
    const Work* work = nullptr;  // written between two epochs only
    bool stopping = false;
    std::mutex error_mutex;
    std::exception_ptr error;  // the first one of this run
    std::atomic<bool> running{false};
    std::atomic<int> wary_for{0};                     // runs
    alignas(cache_line) std::atomic<int> epoch{0};    // int: what the kernel can wait on without a proxy
    alignas(cache_line) std::atomic<int> pending{0};  // threads that have not finished this epoch
    std::vector<std::thread> threads;                 // last: started when everything above is ready
};

ThreadPool::ThreadPool(size_t n_threads) {
    const size_t size = n_threads == 0 ? default_thread_count() : n_threads;
    if (size > max_threads) {
        fail(Status::invalid_argument, "thread pool: expected at most %zu threads, found %zu", max_threads, size);
    }
    state_ = std::make_unique<State>(size);
}

ThreadPool::~ThreadPool() = default;

size_t ThreadPool::size() const {
    return state_->size;
}

void ThreadPool::run(FunctionRef<void(size_t)> work) {
    State& state = *state_;
    if (state.running.exchange(true, std::memory_order_acquire)) {
        fail(Status::internal, "thread pool: run() was called while a run() of the same pool is under way");
    }
    state.work = &work;
    if (state.size > 1) state.begin_run();
    state.call(0);
    if (state.size > 1) state.end_run();
    const std::exception_ptr error = std::exchange(state.error, nullptr);
    state.running.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
}

void ThreadPool::for_ranges(size_t n, size_t grain, FunctionRef<void(size_t, size_t, size_t)> work) {
    const size_t n_grains = div_up(n, grain);
    if (n_grains <= 1) {  // nothing to share: the workers are left asleep
        if (n != 0) work(0, n, 0);
        return;
    }
    run([&](size_t thread) {
        const size_t begin = n_grains * thread / size() * grain;
        const size_t end = std::min(n, n_grains * (thread + 1) / size() * grain);
        if (begin < end) work(begin, end, thread);
    });
}

void ThreadPool::for_shares(size_t n, size_t grain, FunctionRef<void(size_t, size_t, size_t)> work) {
    const size_t n_grains = div_up(n, grain);
    if (size() == 1 || n_grains < size() * fewest_pieces) return for_ranges(n, 1, work);
    std::vector<Share> shares(size());
    for (size_t i = 0; i < size(); ++i) {
        shares[i].next = n_grains * i / size();
        shares[i].end = n_grains * (i + 1) / size();
    }
    run([&](size_t thread) {
        for (size_t i = thread; i < thread + size(); ++i) {
            Share& share = shares[i % size()];
            for (size_t begin, count; (count = share.take(begin)) != 0;)
                work(begin * grain, std::min(n, (begin + count) * grain), thread);
        }
    });
}

void ThreadPool::for_each(size_t n, FunctionRef<void(size_t, size_t)> work) {
    if (n <= 1) {
        if (n != 0) work(0, 0);
        return;
    }
    std::atomic<size_t> next{0};
    run([&](size_t thread) {
        try {
            for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) work(i, thread);
        } catch (...) {
            next.store(n, std::memory_order_relaxed);  // the others need not finish what is thrown away
            throw;
        }
    });
}

}  // namespace gq
