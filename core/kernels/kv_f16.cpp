// f16: keys and values as IEEE halves. In: floats. Out: the panels of kv.h in halves, rounded to nearest even.
// Must not know pages.
//
//     element: s eeeee mmmmmmmmmm, 2 bytes, at 2 x its place in the panels
#include "core/kernels/kv_floats.h"
#include "formats/element_type.h"

namespace gq {
namespace {

using F16 = KvFloats<uint16_t, f32_to_f16>;

void widen_k(const std::byte* block, size_t head_dim, float* out) {
    traits(ElementType::f16).to_f32(block, F16::k_elements(head_dim), out);
}

void widen_v(const std::byte* block, size_t head_dim, float* out) {
    traits(ElementType::f16).to_f32(block, F16::v_elements(head_dim), out);
}

}  // namespace

extern const KvType kv_f16{
    .name = "f16",
    .is_rotated = false,
    .k_bytes = F16::k_bytes,
    .v_bytes = F16::v_bytes,
    .store_k = F16::store_k,
    .store_v = F16::store_v,
    .widen_k = widen_k,
    .widen_v = widen_v,
};

}  // namespace gq
