// Speed of core/linalg beside the fp32 FMA peak of the same cores, measured in the same run: GFLOP/s and percent.
// In: thread counts as arguments (default 1 and 2). Out: one line per operation on stdout. Not a test: it asserts
// nothing. Every figure is the best of many short runs, alternated with the peak's, since the machine may be shared.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

#include "core/linalg/cholesky.h"
#include "core/linalg/gemm.h"
#include "core/linalg/triangular.h"

namespace {

constexpr double seconds_per_figure = 1.5;
constexpr size_t peak_turns = 400000;

// What one piece of work took: by the clock on the wall, and in processor time per thread. The latter is what remains
// meaningful while other programs use the same cores; it hides the time that a thread sleeps for want of work.
struct Seconds {
    double wall, busy;
};

double seconds_now(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Seconds seconds_of(const gq::Compute& compute, const std::function<void()>& work) {
    const double wall = seconds_now(CLOCK_MONOTONIC), busy = seconds_now(CLOCK_PROCESS_CPUTIME_ID);
    work();
    return {seconds_now(CLOCK_MONOTONIC) - wall,
            (seconds_now(CLOCK_PROCESS_CPUTIME_ID) - busy) / static_cast<double>(compute.pool.size())};
}

// Best rates so far, in GFLOP/s.
struct Best {
    double wall = 0, busy = 0;
    void see(double flops, const Seconds& seconds) {
        wall = std::max(wall, flops / seconds.wall * 1e-9);
        busy = std::max(busy, flops / seconds.busy * 1e-9);
    }
};

void measure_peak(const gq::Compute& compute, Best& peak) {
    const gq::PeakFn turns = compute.kernels.peak_f32;
    if (!turns) return;
    double flops = 0;
    const Seconds seconds = seconds_of(compute, [&] {
        compute.pool.run([&](size_t thread) {
            const double mine = 2 * turns(peak_turns);
            if (thread == 0) flops = mine * static_cast<double>(compute.pool.size());
        });
    });
    peak.see(flops, seconds);
}

struct Operation {
    const char* name;
    double flops;
    std::function<void()> prepare, work;
};

void measure(const gq::Compute& compute, const Operation& operation) {
    Best best, peak;
    for (double spent = 0; spent < seconds_per_figure;) {
        operation.prepare();
        const Seconds seconds = seconds_of(compute, operation.work);
        best.see(operation.flops, seconds);
        measure_peak(compute, peak);
        spent += seconds.wall;
    }
    std::printf("%2zu threads  %-24s %8.1f GFLOP/s", compute.pool.size(), operation.name, best.wall);
    if (peak.wall > 0) {
        std::printf("  %5.1f %% of %.1f; by processor time %5.1f %%", 100 * best.wall / peak.wall, peak.wall,
                    100 * best.busy / peak.busy);
    }
    std::printf("\n");
    std::fflush(stdout);
}

gq::Matrix random_matrix(size_t rows, size_t cols) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    gq::Matrix matrix(rows, cols);
    std::generate_n(matrix.data(), rows * cols, [&] { return normal(generator); });
    return matrix;
}

void nothing() {}

void bench_products(const gq::Compute& compute) {
    gq::GemmWorkspace workspace;
    for (const size_t n : {512, 1536}) {
        const gq::Matrix a = random_matrix(n, n), b = random_matrix(n, n);
        gq::Matrix c(n, n);
        const std::string name = "gemm " + std::to_string(n);
        const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
        measure(compute, {name.c_str(), flops, nothing,
                          [&] { gemm(compute, workspace, gq::Update::set, a.view(), b.view(), c.view()); }});
    }
    const size_t rows = 2048, k = 128, cols = 2048;
    const gq::Matrix err = random_matrix(rows, k), u = random_matrix(k, cols);
    gq::Matrix w(rows, cols);
    measure(compute, {"gemm 2048 x 128 x 2048", 2.0 * rows * k * cols, nothing,
                      [&] { gemm(compute, workspace, gq::Update::subtract, err.view(), u.view(), w.view()); }});
    const size_t tokens = 512, d = 2048;
    const gq::Matrix x = random_matrix(tokens, d);
    gq::Matrix h(d, d);
    measure(compute, {"syrk 2048, 512 tokens", 1.0 * tokens * d * (d + 1), nothing,
                      [&] { syrk_upper(compute, workspace, gq::Update::add, x.view().transposed(), h.view()); }});
}

void bench_factorization(const gq::Compute& compute) {
    constexpr size_t d = 2048;
    gq::GemmWorkspace workspace;
    const gq::Matrix x = random_matrix(d, d);
    gq::Matrix h(d, d), r(d, d);
    syrk_upper(compute, workspace, gq::Update::add, x.view().transposed(), h.view());
    for (size_t i = 0; i < d; ++i) h(i, i) += 20;
    const auto restore = [&] { std::copy_n(h.data(), d * d, r.data()); };
    const double flops = 1.0 * d * d * d / 3;
    gq::Pivot pivot;
    measure(compute,
            {"cholesky 2048", flops, restore, [&] { pivot = cholesky_reversed(compute, workspace, r.view()); }});
    if (!pivot.ok) std::printf("the factorization failed\n");
    std::copy_n(r.data(), d * d, h.data());
    measure(compute,
            {"triangular inverse 2048", flops, restore, [&] { pivot = invert_upper(compute, workspace, r.view()); }});
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<size_t> counts = {1, 2};
    if (argc > 1) counts.clear();
    for (int i = 1; i < argc; ++i) counts.push_back(std::strtoul(argv[i], nullptr, 10));
    for (const size_t n_threads : counts) {
        gq::ThreadPool pool(n_threads);
        const gq::Compute compute{pool, gq::kernel_table()};
        std::printf("%s\n", compute.kernels.isa);
        bench_products(compute);
        bench_factorization(compute);
    }
}
