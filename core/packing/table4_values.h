// The 16 values of codes table4: those of GGUF's IQ4_NL, denser around 0, with 128 added so that they are unsigned.
// Out: constants, for whoever lays codes out or spreads them. Source: kvalues_iq4nl of ggml (ggml-common.h).
#pragma once

#include <cstdint>

namespace gq {

inline constexpr uint8_t table4_zero = 128;  // of these stands for 0, which none of them is
inline constexpr uint8_t table4_values[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

}  // namespace gq
