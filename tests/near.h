// A comparison within a share of the larger value.
// In: the expected value; the share. Out: what a found value is compared to with ==. doctest::Approx alone adds 1 to
// the size of the values, so that its tolerance is absolute below 1. Must not know what is compared.
#pragma once

#include <doctest/doctest.h>

#include <limits>

namespace gq::test {

// found == near(x, r): |found - x| < r max(|found|, |x|); 0 is near 0 (and so the scale is not 0), NaN is near nothing.
inline doctest::Approx near(double expected, double relative) {
    return doctest::Approx(expected).epsilon(relative).scale(std::numeric_limits<double>::min());
}

}  // namespace gq::test
