// The clock of the probes: it never goes back, whatever happens to the time of day.
// In: nothing. Out: seconds since some moment.
// Must not know what is timed.
#pragma once

#include <chrono>

namespace gq {

inline double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace gq
