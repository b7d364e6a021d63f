// How fast each registered kernel runs on this machine, beside the scalar truth and the machine's limits.
// In: the registry, a time. Out: a row for each variant and codes. Must not know models, nor who prints the rows.
#pragma once

#include "core/base/threads.h"
#include "core/kernels/kernels.h"

namespace gq {

struct KernelRate {
    const char* operation;  // "gemv"
    const char* variant;    // "gemv_int4_avx2"
    const char* isa;
    const char* codes;  // of the weights, or the type of the cache; null where the operation has none
    size_t n_tokens;    // 0 where it does not depend on them
    bool can_run;       // false: this CPU can't, and there are no numbers
    const char* unit;   // what is counted: "B" or "OP", a multiply-add being two
    double rate, scalar_rate;
    double limit;  // of the same unit: read bandwidth, int8 or f32 peak; 0: none is known
};

// One thread. Weights of gemv are streamed from 256 MiB, more than caches hold; the others work on what stays in a
// cache, as they do in a model: 128 tokens of 2048 inputs, a panel of weights, a row. B counts what is read and
// written, of gemv the weights alone. Every figure is the best of short runs of variant, scalar and limit in turn, for
// about `seconds` a row. Stops when use() returns false. Error(out_of_memory).
void measure_kernels(double seconds, FunctionRef<bool(const KernelRate&)> use);

}  // namespace gq
