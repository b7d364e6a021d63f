// A pool of threads that run one function together, and the count of threads that suits this machine.
// In: a function of (thread index). Out: its side effects; the first exception of any thread is rethrown to the caller.
// Must not know what the function does. A pool of 1 runs everything on the caller and starts no thread.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace gq {

// A non-owning reference to a callable; valid while the callable lives.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
  public:
    template <class F, class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>>>
    FunctionRef(F&& f)  // NOLINT(google-explicit-constructor): meant to be implicit
        : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Args>(args)...);
          }) {}
    R operator()(Args... args) const { return call_(object_, static_cast<Args>(args)...); }

  private:
    void* object_;
    R (*call_)(void*, Args...);
};

class ThreadPool {
  public:
    // n_threads includes the calling thread; 0 means default_thread_count().
    explicit ThreadPool(size_t n_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    size_t size() const;

    // Runs work(thread) once on every thread 0 … size()-1 and returns when all are done. Not reentrant.
    void run(FunctionRef<void(size_t thread)> work);

    // Cuts [0, n) into size() contiguous ranges whose borders are multiples of `grain`; empty ranges are not called.
    void for_ranges(size_t n, size_t grain, FunctionRef<void(size_t begin, size_t end, size_t thread)> work);

    // The same, but a thread's range is called in pieces, each a part of what is left of it and a grain at least, and a
    // thread that is done takes over pieces of others: work is called often, with ranges whose borders are multiples of
    // `grain`. Where there are few grains, it is for_ranges with a grain of 1.
    void for_shares(size_t n, size_t grain, FunctionRef<void(size_t begin, size_t end, size_t thread)> work);

    // Calls work(i, thread) for i in [0, n), handed out one at a time in ascending order.
    void for_each(size_t n, FunctionRef<void(size_t i, size_t thread)> work);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Physical cores that the affinity mask and the cgroup's CPU quota leave to this process; at least 1.
size_t default_thread_count();

}  // namespace gq
