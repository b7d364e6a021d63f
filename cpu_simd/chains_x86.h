// Turns of independent chains of one instruction on registers that are all zero, in assembler so that no compiler moves
// them: what the peak of an x86 instruction set is measured with.
// In: a count of turns, which the macro uses up, and the body of a turn on registers 0 … 15. Out: nothing but the time.
// Must not know what the instructions compute.
#pragma once

// `op` on registers of kind `r` ("ymm", "zmm"): registers 0 … 13 accumulate products of 14 and 15. 14 chains cover
// two multipliers of up to seven cycles.
#define GQ_CHAIN(op, r, i) op " %%" r "14, %%" r "15, %%" r i "\n"
#define GQ_CHAINS_7(op, r, a, b, c, d, e, f, g) \
    GQ_CHAIN(op, r, a)                          \
    GQ_CHAIN(op, r, b)                          \
    GQ_CHAIN(op, r, c)                          \
    GQ_CHAIN(op, r, d) GQ_CHAIN(op, r, e) GQ_CHAIN(op, r, f) GQ_CHAIN(op, r, g)
#define GQ_CHAINS_14(op, r)                               \
    GQ_CHAINS_7(op, r, "0", "1", "2", "3", "4", "5", "6") \
    GQ_CHAINS_7(op, r, "7", "8", "9", "10", "11", "12", "13")

#define GQ_TURNS(n, body)                                                                                         \
    asm volatile("vzeroall\n1:\n" body "dec %0\njnz 1b\nvzeroupper"                                               \
                 : "+r"(n)::"cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
