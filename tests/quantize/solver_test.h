// What the tests of the solver and of its grids share: a machine to compute on, and the message of an Error.
// In: threads and kernels; a call. Out: a Compute; words. Must not know weights.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "core/base/status.h"
#include "core/kernels/compute.h"
#include "core/packing/packing.h"

namespace gq::test {

struct Machine {
    ThreadPool pool;
    Compute compute;
    explicit Machine(size_t n_threads = 1, const KernelTable& kernels = kernel_table())
        : pool(n_threads), compute{pool, kernels} {}
};

// The message of the Error that the call throws, whose status is checked; "no error" when it throws none.
template <typename Call>
std::string error_of(Status status, Call call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.status() == status);
        return error.what();
    }
    return "no error";
}

// The two grids of integers.
inline const Grid* integer_grid(bool symmetric) {
    return find_grid(symmetric ? "symmetric" : "zero_point");
}

inline bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace gq::test
