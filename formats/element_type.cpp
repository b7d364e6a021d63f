// The table of element types: one row a type.
// In: a type. Out: its name, block and conversion. Types without a conversion are carried and refused by name when
// their values are wanted. Must not know file layouts; GGUF's blocks are taken apart in gguf_blocks.cpp.
#include "formats/element_type.h"

#include <cstring>
#include <iterator>

#include "formats/gguf_blocks.h"

namespace gq {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and read in place");

// Elements in files have no alignment, so each is copied out before it is used.
template <typename Stored, auto convert_one>
void plain_to_f32(const std::byte* elements, size_t n, float* out) {
    for (size_t i = 0; i < n; i++) {
        Stored value;
        std::memcpy(&value, elements + i * sizeof value, sizeof value);
        out[i] = convert_one(value);
    }
}

void f32_to_f32(const std::byte* elements, size_t n, float* out) {
    if (n > 0) std::memcpy(out, elements, n * sizeof *out);
}

float f64_to_f32(double value) {
    return static_cast<float>(value);
}

struct Row {
    ElementType type;
    ElementTraits traits;
};

constexpr Row rows[] = {
    {ElementType::f32, {"F32", 1, 4, f32_to_f32}},
    {ElementType::f16, {"F16", 1, 2, plain_to_f32<uint16_t, f16_to_f32>}},
    {ElementType::bf16, {"BF16", 1, 2, plain_to_f32<uint16_t, bf16_to_f32>}},
    {ElementType::f64, {"F64", 1, 8, plain_to_f32<double, f64_to_f32>}},
    {ElementType::boolean, {"BOOL", 1, 1, nullptr}},
    {ElementType::i8, {"I8", 1, 1, nullptr}},
    {ElementType::u8, {"U8", 1, 1, nullptr}},
    {ElementType::i16, {"I16", 1, 2, nullptr}},
    {ElementType::u16, {"U16", 1, 2, nullptr}},
    {ElementType::i32, {"I32", 1, 4, nullptr}},
    {ElementType::u32, {"U32", 1, 4, nullptr}},
    {ElementType::i64, {"I64", 1, 8, nullptr}},
    {ElementType::u64, {"U64", 1, 8, nullptr}},
    {ElementType::f8_e4m3, {"F8_E4M3", 1, 1, nullptr}},
    {ElementType::f8_e5m2, {"F8_E5M2", 1, 1, nullptr}},
    {ElementType::q4_0, {"Q4_0", 32, 18, q4_0_to_f32, &q4_0_parts}},
    {ElementType::q4_1, {"Q4_1", 32, 20, q4_1_to_f32, &q4_1_parts}},
    {ElementType::q5_0, {"Q5_0", 32, 22, q5_0_to_f32, &q5_0_parts}},
    {ElementType::q5_1, {"Q5_1", 32, 24, q5_1_to_f32, &q5_1_parts}},
    {ElementType::q8_0, {"Q8_0", 32, 34, q8_0_to_f32, &q8_0_parts}},
    {ElementType::q8_1, {"Q8_1", 32, 36, nullptr}},
    {ElementType::q2_k, {"Q2_K", 256, 84, q2_k_to_f32, &q2_k_parts}},
    {ElementType::q3_k, {"Q3_K", 256, 110, q3_k_to_f32, &q3_k_parts}},
    {ElementType::q4_k, {"Q4_K", 256, 144, q4_k_to_f32, &q4_k_parts}},
    {ElementType::q5_k, {"Q5_K", 256, 176, q5_k_to_f32, &q5_k_parts}},
    {ElementType::q6_k, {"Q6_K", 256, 210, q6_k_to_f32, &q6_k_parts}},
    {ElementType::q8_k, {"Q8_K", 256, 292, nullptr}},
    {ElementType::iq4_nl, {"IQ4_NL", 32, 18, iq4_nl_to_f32, &iq4_nl_parts}},
    {ElementType::iq4_xs, {"IQ4_XS", 256, 136, iq4_xs_to_f32, &iq4_xs_parts}},
    {ElementType::other, {"other", 1, 0, nullptr}},
};

constexpr bool rows_follow_the_enumeration() {
    for (size_t i = 0; i < std::size(rows); i++) {
        if (rows[i].type != static_cast<ElementType>(i)) return false;
    }
    return std::size(rows) == static_cast<size_t>(ElementType::other) + 1;
}
static_assert(rows_follow_the_enumeration());

}  // namespace

const ElementTraits& traits(ElementType type) {
    return rows[static_cast<size_t>(type)].traits;
}

}  // namespace gq
