// widen_k and widen_v of q8 in AVX2 (widen_groups_avx2.h): a code byte is an integer.
// In: a block (kv_q8.cpp). Out: its panels of floats. Must not know keys from values.
#include "cpu_simd/widen_groups_avx2.h"

namespace gq {
namespace {

GQ_TARGET_AVX2

struct Int8 {
    static constexpr size_t bytes = kv_group;
    static avx2::Integers integers(const std::byte* at, size_t) {
        return {avx2::widened_8(at), avx2::widened_8(at + 8)};
    }
};

GQ_TARGET_END

using Widen = WidenGroups<avx2::GroupLanes<Int8>>;

}  // namespace

extern const KernelVariant widen_q8_avx2{
    "widen_q8_avx2", "avx2", nullptr, {.widen_k = Widen::widen_k, .widen_v = Widen::widen_v}, "q8"};

}  // namespace gq
