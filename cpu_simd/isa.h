// Target regions: how a file of cpu_simd/ speaks an instruction set that the rest of the program may not assume.
// In: GQ_TARGET_AVX2, _AVXVNNI, _AVX512, _NEON or _I8MM, then static functions made of intrinsics, then GQ_TARGET_END.
// Out: functions compiled for that instruction set only, whatever flags the build has; core/kernels/dispatch.cpp calls
// them only on a CPU that has it. Nothing of std:: may be instantiated inside a region (the linker could keep that copy
// for everybody), and no lambda may stand in one (GCC and Clang don't give it the region's target). Must not know what
// the kernels compute.
#pragma once

#include "core/kernels/kernels.h"
#include "cpu_simd/intrinsics.h"

// GCC 12 takes the deliberately undefined registers of its own AVX-512 header for mistakes (GCC bug 105593). The
// warning is decided where the intrinsic is inlined, so it stays off for the rest of the file.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GQ_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined(__clang__)
#define GQ_TARGET(features) GQ_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define GQ_TARGET_END GQ_PRAGMA(clang attribute pop)
#define GQ_TARGET_AVX2 GQ_TARGET("avx2,fma,f16c")
#define GQ_TARGET_AVXVNNI GQ_TARGET("avx2,fma,f16c,avxvnni")
#define GQ_TARGET_NEON GQ_TARGET("dotprod")
#define GQ_TARGET_I8MM GQ_TARGET("dotprod,i8mm")
#else
// Without no-tree-ter GCC 12 orders a tile's products before its sums and spills them: prefill in AVX2 took 1.4 times
// as long.
#define GQ_TARGET(features) \
    GQ_PRAGMA(GCC push_options) GQ_PRAGMA(GCC target(features)) GQ_PRAGMA(GCC optimize("no-tree-ter"))
#define GQ_TARGET_END GQ_PRAGMA(GCC pop_options)
// Without no-tree-reassoc it makes two shorter chains of an integer sum, twice the registers, and AVX2 has 16.
#define GQ_TARGET_AVX2 GQ_TARGET("avx2,fma,f16c") GQ_PRAGMA(GCC optimize("no-tree-reassoc"))
// The options of AVX2, whose functions it takes in: what has other options GCC inlines too late to see through it.
#define GQ_TARGET_AVXVNNI GQ_TARGET("avx2,fma,f16c,avxvnni") GQ_PRAGMA(GCC optimize("no-tree-reassoc"))
// Without no-schedule-insns it begins with all loads of a block and spills sums to have registers for them.
#define GQ_TARGET_NEON GQ_TARGET("arch=armv8.2-a+dotprod") GQ_PRAGMA(GCC optimize("no-schedule-insns"))
#define GQ_TARGET_I8MM GQ_TARGET("arch=armv8.2-a+dotprod+i8mm") GQ_PRAGMA(GCC optimize("no-schedule-insns"))
#endif

#define GQ_TARGET_AVX512 GQ_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")

// For the small pieces of a kernel: a call inside an inner loop would spill its accumulators.
#define GQ_INLINE static inline __attribute__((always_inline))
