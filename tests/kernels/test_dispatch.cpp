// Which kernel serves: tables per instruction set, the variable GQ_ISA, and what is refused.
// In: names of instruction sets. Out: checks of tables and messages.
// Must not compute with a kernel.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/kernels/cpu_features.h"
#include "core/kernels/kernels.h"
#include "core/kernels/kv.h"

using namespace gq;

namespace {

// Sets GQ_ISA, or unsets it for null, and puts it back: the suite itself may run under a forced one.
class ForcedIsa {
  public:
    explicit ForcedIsa(const char* isa) {
        if (const char* old = std::getenv("GQ_ISA")) old_ = old, had_ = true;
        set(isa);
    }
    ~ForcedIsa() { set(had_ ? old_.c_str() : nullptr); }
    ForcedIsa(const ForcedIsa&) = delete;
    ForcedIsa& operator=(const ForcedIsa&) = delete;

  private:
    static void set(const char* isa) { isa ? setenv("GQ_ISA", isa, 1) : unsetenv("GQ_ISA"); }
    std::string old_;
    bool had_ = false;
};

std::string refusal(std::string_view isa) {
    try {
        kernel_table(isa);
    } catch (const Error& error) {
        CHECK(error.status() == Status::unsupported);
        return error.what();
    }
    return "accepted";
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

bool is_complete(const KernelTable& t) {
    bool complete = t.quantize_q8 && t.gemm_u8s8 && t.gemm_f32 && t.softmax_block && t.silu_mul && t.rms_norm;
    for (const Codes* codes : all_codes())
        complete &= t.gemv[codes_index(*codes)] && (codes->is_float ? t.unpack_f32[codes_index(*codes)] != nullptr
                                                                    : t.unpack[codes_index(*codes)] != nullptr);
    for (const KvType* type : all_kv_types()) {
        const size_t i = kv_type_index(*type);
        complete &= !type->widen_k == !t.widen_k[i] && !type->widen_v == !t.widen_v[i];
    }
    return complete;
}

void unpack_nothing(const std::byte*, size_t, uint8_t*) {}

}  // namespace

TEST_SUITE("kernels") {
    TEST_CASE("every table that this CPU can run is complete and names its best instruction set") {
        for (const char* isa : known_isas()) {
            if (!cpu_can_run(isa)) continue;
            const KernelTable& table = kernel_table(isa);
            INFO("table ", std::string(isa));
            CHECK(is_complete(table));
            CHECK(&table == &kernel_table(isa));
            std::string_view best = "scalar";  // up to `isa`, the last set that can run and has a variant
            for (const char* lower : known_isas()) {
                for (const KernelVariant* variant : all_variants()) {
                    if (std::string_view(variant->isa) == lower && cpu_can_run(lower)) best = lower;
                }
                if (std::string_view(lower) == isa) break;
            }
            CHECK(table.isa == best);
        }
        CHECK(is_complete(scalar_table()));
        CHECK((kernel_table("scalar").gemm_f32 == scalar_table().gemm_f32));
    }

    TEST_CASE("a variant serves in the table of its own instruction set") {
        for (const KernelVariant* variant : all_variants()) {
            if (!cpu_can_run(variant->isa)) continue;
            const KernelTable& table = kernel_table(variant->isa);
            INFO("variant ", std::string(variant->name));
            if (variant->kernels.gemv)
                CHECK((table.gemv[codes_index(*find_codes(variant->codes))] == variant->kernels.gemv));
            if (variant->kernels.gemm_f32) CHECK((table.gemm_f32 == variant->kernels.gemm_f32));
            if (variant->kernels.gemm_u8s8) CHECK((table.gemm_u8s8 == variant->kernels.gemm_u8s8));
        }
    }

    TEST_CASE("a table has no scalar kernel where its own set, or one before it, has a variant") {
        const KernelTable& scalar = scalar_table();
        for (size_t i = 0; i < known_isas().size(); ++i) {
            if (!cpu_can_run(known_isas()[i])) continue;
            const KernelTable& table = kernel_table(known_isas()[i]);
            for (const char* isa : known_isas().first(i + 1)) {
                if (!cpu_can_run(isa)) continue;
                for (const KernelVariant* variant : all_variants()) {
                    if (std::string_view(variant->isa) != isa) continue;
                    INFO("table ", std::string(known_isas()[i]), " variant ", std::string(variant->name));
                    const size_t codes = variant->codes ? codes_index(*find_codes(variant->codes)) : 0;
                    const KernelSet& k = variant->kernels;
                    CHECK((!k.gemv || table.gemv[codes] != scalar.gemv[codes]));
                    CHECK((!k.unpack || table.unpack[codes] != scalar.unpack[codes]));
                    CHECK((!k.unpack_f32 || table.unpack_f32[codes] != scalar.unpack_f32[codes]));
                    CHECK((!k.gemm_u8s8 || table.gemm_u8s8 != scalar.gemm_u8s8));
                    CHECK((!k.gemm_f32 || table.gemm_f32 != scalar.gemm_f32));
                    CHECK((!k.rms_norm || table.rms_norm != scalar.rms_norm));
                }
            }
        }
    }

    // A set need not contain those before it: AVX-512 comes with AVX-VNNI or without.
    TEST_CASE("no table that this CPU can run has a variant that it can't run") {
        for (const KernelVariant* variant : all_variants()) {
            if (cpu_can_run(variant->isa)) continue;
            INFO("variant ", std::string(variant->name));
            const size_t codes = variant->codes ? codes_index(*find_codes(variant->codes)) : 0;
            const KernelSet& k = variant->kernels;
            for (const char* isa : known_isas()) {
                if (!cpu_can_run(isa)) continue;
                const KernelTable& table = kernel_table(isa);
                CHECK((!k.gemv || table.gemv[codes] != k.gemv));
                CHECK((!k.gemm_u8s8 || table.gemm_u8s8 != k.gemm_u8s8));
                CHECK((!k.peak_int8 || table.peak_int8 != k.peak_int8));
            }
        }
    }

    TEST_CASE("without a name the best set serves, unless GQ_ISA names another") {
        const char* best = "scalar";
        for (const char* isa : known_isas()) {
            if (cpu_can_run(isa)) best = isa;
        }
        {
            const ForcedIsa none(nullptr);
            CHECK(&kernel_table() == &kernel_table(best));
        }
        {
            const ForcedIsa empty("");
            CHECK(&kernel_table() == &kernel_table(best));
        }
        const ForcedIsa forced("scalar");
        CHECK(&kernel_table() == &kernel_table("scalar"));
        CHECK(&kernel_table(best) == &kernel_table(best));  // a name outranks the variable
        if (std::string_view(best) != "scalar") CHECK(&kernel_table(best) != &kernel_table());
    }

    TEST_CASE("an instruction set that is unknown or can't run here is refused with what would do") {
        const std::string message = refusal("sse9");
        CHECK(contains(message, "\"sse9\" is unknown"));
        CHECK(contains(message, "known here: scalar"));
        CHECK(contains(message, "this CPU can run: scalar"));
        for (const char* isa : known_isas()) {
            if (!cpu_can_run(isa)) CHECK(contains(refusal(isa), "can't run on this CPU"));
        }
        const ForcedIsa forced("vax");
        CHECK(contains(refusal(""), "GQ_ISA: instruction set \"vax\" is unknown"));
    }

    TEST_CASE("install_variant puts in what a variant has and leaves the rest") {
        KernelTable table = scalar_table();
        const KernelVariant variant{
            .name = "unpack_int3_test", .isa = "scalar", .codes = "int3", .kernels = {.unpack = unpack_nothing}};
        install_variant(variant, table);
        const size_t int3 = codes_index(*find_codes("int3")), int4 = codes_index(*find_codes("int4"));
        CHECK((table.unpack[int3] == unpack_nothing));
        CHECK((table.unpack[int4] == scalar_table().unpack[int4]));
        CHECK((table.gemv[int3] == scalar_table().gemv[int3]));
        CHECK(is_complete(table));
        const KernelVariant homeless{
            .name = "unpack_int7_test", .isa = "scalar", .codes = "int7", .kernels = {.unpack = unpack_nothing}};
        CHECK_THROWS_WITH_AS(install_variant(homeless, table),
                             "kernel unpack_int7_test is for codes int7, which are not registered", Error);
        const Codes stranger = *all_codes().front();  // known by its address, not by its name
        CHECK_THROWS_AS(codes_index(stranger), Error);
    }

    // What this machine was promised: the walks over the registry would pass over an empty one.
    TEST_CASE("the kernels that decode and prefill stand on are registered") {
        const auto is_registered = [](const std::string& name) {
            for (const KernelVariant* variant : all_variants())
                if (variant->name == name) return true;
            return false;
        };
        for (const std::string isa : known_isas()) {
            if (isa == "scalar") continue;
            CAPTURE(isa);
            CHECK(is_registered("gemm_u8s8_" + isa));
            if (isa == "i8mm") continue;  // adds products of bytes to prefill alone
            for (const char* kernel : {"gemv_int4_", "gemv_int8_"}) CHECK(is_registered(kernel + isa));
            if (isa == "avxvnni") continue;  // multiplies bytes alone
            for (const char* kernel : {"gemv_f16_", "gemm_f32_"}) CHECK(is_registered(kernel + isa));
        }
    }

    TEST_CASE("every registered variant is for an instruction set and codes that exist, and provides something") {
        for (const KernelVariant* variant : all_variants()) {
            INFO("variant ", std::string(variant->name));
            bool known = false;
            for (const char* isa : known_isas()) known |= std::string_view(isa) == variant->isa;
            CHECK(known);
            CHECK(std::string_view(variant->name).ends_with(std::string("_") + variant->isa));
            const KernelSet& k = variant->kernels;
            if (variant->codes) REQUIRE(find_codes(variant->codes));
            CHECK((k.gemv || k.unpack || k.unpack_f32) == (variant->codes != nullptr));
            if (variant->kv_type) CHECK((find_kv_type(variant->kv_type).widen_k != nullptr));
            CHECK((k.widen_k || k.widen_v) == (variant->kv_type != nullptr));
            CHECK((k.quantize_q8 || k.gemv || k.unpack || k.gemm_u8s8 || k.gemm_f32 || k.widen_k || k.widen_v ||
                   k.softmax_block || k.silu_mul || k.rms_norm || k.peak_int8 || k.peak_f32));
        }
    }
}
