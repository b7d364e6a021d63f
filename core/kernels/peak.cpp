// Runs the table's peak probes on all threads and keeps the best times. See peak.h.
// In: probes that work in registers alone. Out: rates. Must not know instruction sets.
#include "core/kernels/peak.h"

#include <algorithm>

#include "core/kernels/stopwatch.h"

namespace gq {
namespace {

constexpr size_t turns = 200000;  // about a millisecond: short against other programs' turns on a shared core

}  // namespace

double peak_once(const Compute& compute, PeakFn probe) {
    if (!probe) return 0;
    double done = 0;
    const double before = seconds_now();
    compute.pool.run([&](size_t thread) {
        const double mine = 2 * probe(turns);
        if (thread == 0) done = mine * static_cast<double>(compute.pool.size());
    });
    return done / (seconds_now() - before);
}

Peaks arithmetic_peaks(const Compute& compute, double seconds) {
    constexpr int least_runs = 3;  // the first one may meet cold clocks
    Peaks best;
    const double start = seconds_now();
    for (int run = 0; run < least_runs || seconds_now() - start < seconds; ++run) {
        best.int8 = std::max(best.int8, peak_once(compute, compute.kernels.peak_int8));
        best.f32 = std::max(best.f32, peak_once(compute, compute.kernels.peak_f32));
    }
    return best;
}

}  // namespace gq
