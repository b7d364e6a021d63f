// The processor's intrinsics, for isa.h, and the standard headers of what kernels implement, for the Makefile to
// precompile the two together: both are most of what a kernel's file takes to compile.
// In: the target's architecture. Out: declarations. Must not name any other header of gq.
#ifndef GQ_INTRINSICS_H  // no #pragma once: the Makefile compiles this header by itself
#define GQ_INTRINSICS_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
// Clang before 16 declares what an extension adds only where the whole program may use it.
#if defined(__clang__) && __clang_major__ < 16
#if !defined(__ARM_FEATURE_DOTPROD)
#define __ARM_FEATURE_DOTPROD 1
#endif
#if !defined(__ARM_FEATURE_MATMUL_INT8)
#define __ARM_FEATURE_MATMUL_INT8 1
#endif
#endif
#include <arm_neon.h>
#endif

#endif
