// Chains of multiply-adds for the peaks of ARM's instruction sets.
// In: an instruction and the shapes of its registers. Out: loops of it in assembly. Must not know what it multiplies.
#pragma once

#include "cpu_simd/isa.h"

// Registers 0 … 15 accumulate products of 16 and 17: 16 chains cover four multipliers of four cycles.
#define GQ_CHAIN(op, to, from, i) op " v" i "." to ", v16." from ", v17." from "\n"
#define GQ_CHAINS_4(op, to, from, a, b, c, d) \
    GQ_CHAIN(op, to, from, a) GQ_CHAIN(op, to, from, b) GQ_CHAIN(op, to, from, c) GQ_CHAIN(op, to, from, d)
#define GQ_CHAINS_16(op, to, from)                \
    GQ_CHAINS_4(op, to, from, "0", "1", "2", "3") \
    GQ_CHAINS_4(op, to, from, "4", "5", "6", "7") \
    GQ_CHAINS_4(op, to, from, "8", "9", "10", "11") GQ_CHAINS_4(op, to, from, "12", "13", "14", "15")
#define GQ_TURNS(n, body)                                                                                          \
    asm volatile("movi v16.4s, #0\nmovi v17.4s, #0\n1:\n" body "subs %0, %0, #1\nb.ne 1b"                          \
                 : "+r"(n)::"cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", \
                   "v13", "v14", "v15", "v16", "v17")
