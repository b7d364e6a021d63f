// What every unit test reads, for the Makefile to precompile: doctest and the standard headers.
// In: nothing. Out: declarations. No file includes it or relies on it: each includes what it uses.
#ifndef GQ_TESTS_PRECOMPILED_H  // no #pragma once: the Makefile compiles this header by itself
#define GQ_TESTS_PRECOMPILED_H

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "core/base/std.h"

#endif
