// The peak of NEON's matrix products: 2 x 8 bytes by 8 x 2 an instruction.
// In: turns. Out: multiply-adds done. Must not know any kernel.
#include "cpu_simd/chains_neon.h"

namespace gq {
namespace {

GQ_TARGET_I8MM

double peak_int8(size_t n) {
    const double done = static_cast<double>(n) * 16 * 32;
    GQ_TURNS(n, GQ_CHAINS_16("usmmla", "4s", "16b"));
    return done;
}

GQ_TARGET_END

}  // namespace

extern const KernelVariant peak_i8mm{"peak_i8mm", "i8mm", nullptr, {.peak_int8 = peak_int8}};

}  // namespace gq
