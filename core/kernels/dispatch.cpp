// Who performs each operation: a table per instruction set; scalar first, then every variant that the set allows.
// In: the name of an instruction set, or GQ_ISA, or nothing; registry.inc, which the build writes from cpu_simd/*.cpp.
// Out: a KernelTable that lives as long as the process. Must not know what any kernel does.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/names.h"
#include "core/base/status.h"
#include "core/kernels/cpu_features.h"
#include "core/kernels/kernels.h"
#include "core/kernels/kv.h"

namespace gq {

#define GQ_VARIANT(name) extern const KernelVariant name;
#include "registry.inc"
#undef GQ_VARIANT

namespace {

// Ends in a null, so that an empty list is a valid array too.
constexpr const KernelVariant* variant_list[] = {
#define GQ_VARIANT(name) &name,
#include "registry.inc"
#undef GQ_VARIANT
    nullptr};

template <class Fn>
void install(Fn from, Fn& to) {
    if (from) to = from;
}

// Table i serves known_isas()[i] and takes the variants of all sets up to it that this CPU can run, since a set need
// not contain those before it: a later one overrides an earlier one.
std::vector<KernelTable> build_tables() {
    std::vector<KernelTable> tables;
    KernelTable table = scalar_table();
    for (const std::string_view isa : known_isas()) {
        for (const KernelVariant* variant : all_variants()) {
            if (isa == variant->isa && cpu_can_run(isa)) install_variant(*variant, table);
        }
        tables.push_back(table);
    }
    return tables;
}

// The position in known_isas() of what was asked for; messages start with `asked_by`.
size_t usable_isa(std::string_view isa, const char* asked_by) {
    const auto known = known_isas();
    for (size_t i = 0; i < known.size(); ++i) {
        if (isa == known[i] && cpu_can_run(isa)) return i;
    }
    const bool is_known = std::find(known.begin(), known.end(), isa) != known.end();
    fail(Status::unsupported, "%sinstruction set \"%.*s\" %s; known here: %s; this CPU can run: %s", asked_by,
         static_cast<int>(isa.size()), isa.data(), is_known ? "can't run on this CPU" : "is unknown",
         join_names(known, [](const char* name) { return name; }).c_str(),
         join_names(known, [](const char* name) { return cpu_can_run(name) ? name : ""; }).c_str());
}

size_t best_isa() {
    size_t best = 0;
    for (size_t i = 0; i < known_isas().size(); ++i) {
        if (cpu_can_run(known_isas()[i])) best = i;
    }
    return best;
}

}  // namespace

std::span<const KernelVariant* const> all_variants() {
    return {variant_list, std::size(variant_list) - 1};
}

size_t codes_index(const Codes& codes) {
    const auto all = all_codes();
    const auto at = std::find(all.begin(), all.end(), &codes);
    if (at == all.end()) fail(Status::internal, "codes %s are not registered", codes.name);
    return static_cast<size_t>(at - all.begin());
}

void install_variant(const KernelVariant& variant, KernelTable& table) {
    if (variant.codes) {
        const Codes* codes = find_codes(variant.codes);
        if (!codes)
            fail(Status::internal, "kernel %s is for codes %s, which are not registered", variant.name, variant.codes);
        install(variant.kernels.gemv, table.gemv[codes_index(*codes)]);
        install(variant.kernels.unpack, table.unpack[codes_index(*codes)]);
        install(variant.kernels.unpack_f32, table.unpack_f32[codes_index(*codes)]);
    }
    if (variant.kv_type) {
        const size_t type = kv_type_index(find_kv_type(variant.kv_type));
        install(variant.kernels.widen_k, table.widen_k[type]);
        install(variant.kernels.widen_v, table.widen_v[type]);
    }
    install(variant.kernels.quantize_q8, table.quantize_q8);
    install(variant.kernels.gemm_u8s8, table.gemm_u8s8);
    install(variant.kernels.gemm_f32, table.gemm_f32);
    install(variant.kernels.softmax_block, table.softmax_block);
    install(variant.kernels.silu_mul, table.silu_mul);
    install(variant.kernels.rms_norm, table.rms_norm);
    install(variant.kernels.peak_int8, table.peak_int8);
    install(variant.kernels.peak_f32, table.peak_f32);
    table.isa = variant.isa;
}

const KernelTable& kernel_table(std::string_view isa) {
    static const std::vector<KernelTable> tables = build_tables();
    if (!isa.empty()) return tables[usable_isa(isa, "")];
    const char* wanted = std::getenv("GQ_ISA");
    return tables[wanted && *wanted ? usable_isa(wanted, "GQ_ISA: ") : best_isa()];
}

}  // namespace gq
