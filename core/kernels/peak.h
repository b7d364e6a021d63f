// How fast this machine multiplies: the roof under which prefill and the quantizer run, as read_bandwidth.h is
// decode's. In: threads and kernels, a time. Out: operations per second. Must not know models.
#pragma once

#include "core/kernels/compute.h"

namespace gq {

// Operations per second of all threads together, a multiply-add being two, by the instructions that the table's kernels
// multiply with; 0 where the table has no peak.
struct Peaks {
    double int8 = 0, f32 = 0;
};

// One short run of a probe on all threads; 0 for null.
double peak_once(const Compute& compute, PeakFn probe);

// The best of short runs of both in turn until `seconds` have passed, and at least three: other programs may use the
// same cores.
Peaks arithmetic_peaks(const Compute& compute, double seconds);

}  // namespace gq
