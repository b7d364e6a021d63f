// The registered types of the key and value cache, by name; and the rotation that some of them ask for.
// In: registry.inc, which the build writes from the names of kv_X.cpp. Out: the list and the look-ups of kv.h.
// Must not know what any of them does.
#include "core/kernels/kv.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/names.h"
#include "core/base/status.h"

namespace gq {

#define GQ_KV_TYPE(name) extern const KvType name;
#include "registry.inc"
#undef GQ_KV_TYPE

namespace {

// Ends in a null, so that an empty list is a valid array too.
constexpr const KvType* kv_type_list[] = {
#define GQ_KV_TYPE(name) &name,
#include "registry.inc"
#undef GQ_KV_TYPE
    nullptr};

static_assert(std::size(kv_type_list) - 1 <= max_kv_types);

void rotate_run(float* x, size_t n) {
    for (size_t stride = 1; stride < n; stride *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * stride) {
            for (size_t i = begin; i < begin + stride; ++i) {
                const float a = x[i], b = x[i + stride];
                x[i] = a + b;
                x[i + stride] = a - b;
            }
        }
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(n));
    for (size_t i = 0; i < n; ++i) x[i] *= scale;
}

}  // namespace

std::span<const KvType* const> all_kv_types() {
    return {kv_type_list, std::size(kv_type_list) - 1};
}

size_t kv_type_index(const KvType& type) {
    const auto all = all_kv_types();
    const auto at = std::find(all.begin(), all.end(), &type);
    if (at == all.end()) fail(Status::internal, "kv type %s is not registered", type.name);
    return static_cast<size_t>(at - all.begin());
}

const KvType& find_kv_type(std::string_view name, const char* what) {
    for (const KvType* type : all_kv_types())
        if (name == type->name) return *type;
    const std::string known = join_names(all_kv_types(), [](const KvType* type) { return type->name; });
    fail(Status::invalid_argument, "%s: expected one of %s, found '%.*s'", what, known.c_str(),
         static_cast<int>(name.size()), name.data());
}

const KvType& default_kv_type() {
    return find_kv_type("f16");
}

void rotate_head(float* x, size_t head_dim) {
    const size_t run = head_dim & (~head_dim + 1);  // its lowest bit
    for (size_t begin = 0; begin < head_dim; begin += run) rotate_run(x + begin, run);
}

}  // namespace gq
