// f32: keys and values as they came. In: floats. Out: the panels of kv.h in the page itself; nothing is widened.
// Must not know pages.
//
//     element: one float, 4 bytes, at 4 x its place in the panels
#include "core/kernels/kv_floats.h"

namespace gq {
namespace {

float same(float value) {
    return value;
}

using F32 = KvFloats<float, same>;

}  // namespace

extern const KvType kv_f32{
    .name = "f32",
    .is_rotated = false,
    .k_bytes = F32::k_bytes,
    .v_bytes = F32::v_bytes,
    .store_k = F32::store_k,
    .store_v = F32::store_v,
    .widen_k = nullptr,
    .widen_v = nullptr,
};

}  // namespace gq
