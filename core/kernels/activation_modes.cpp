// The table of activation modes. See activation_modes.h.
// In: rows of floats, parts of their columns. Out: Q8Rows, by the kernel table where blocks have scales of their own
// and by quantize_spans elsewhere. Must not know instruction sets or threads.
#include "core/kernels/activation_modes.h"

#include <algorithm>
#include <string>

#include "core/base/names.h"
#include "core/base/status.h"

namespace gq {
namespace {

size_t one_block(const PackedMatrix&) {
    return 1;
}
size_t whole_row(const PackedMatrix& weights) {
    return weights.n_tiles();
}
size_t one_group(const PackedMatrix& weights) {
    return std::max<size_t>(1, weights.group_cols() / q8_block);
}

// Parts begin with a block, so that none of their blocks is another one's too: all are quantized as one row.
void prepare_blocks(const KernelTable& kernels, const Activations& x, size_t n_rows, std::span<const InputPart>,
                    const Prepared& out) {
    kernels.quantize_q8(x.data, x.stride, n_rows, x.width, out.q8);
}

void prepare_spans(const KernelTable&, const Activations& x, size_t n_rows, std::span<const InputPart> parts,
                   const Prepared& out) {
    for (const InputPart& part : parts) {
        const size_t block = part.column / q8_block;
        quantize_spans(x.data + part.column, x.stride, n_rows, part.cols, part.span_blocks, out.q8.at(0, block),
                       out.shifts.at(0, block));
    }
}

constexpr ActivationMode modes[] = {
    {Precision::int8_activations, "block", false, one_block, prepare_blocks},
    {Precision::int8_token, "token", false, whole_row, prepare_spans},
    {Precision::int8_group, "group", false, one_group, prepare_spans},
    {Precision::int8_token_asym, "token-asym", true, whole_row, prepare_spans},
    {Precision::int8_group_asym, "group-asym", true, one_group, prepare_spans},
    {Precision::exact, "exact", false, one_block, nullptr},
};

constexpr bool is_in_order() {
    for (size_t i = 0; i < std::size(modes); ++i)
        if (modes[i].precision != static_cast<Precision>(i)) return false;
    return true;
}
static_assert(is_in_order(), "activation_mode() finds a row by its Precision");

}  // namespace

std::span<const ActivationMode> activation_modes() {
    return modes;
}

const ActivationMode& activation_mode(Precision precision) {
    return modes[static_cast<size_t>(precision)];
}

const ActivationMode& find_activation_mode(std::string_view name) {
    for (const ActivationMode& mode : modes)
        if (name == mode.name) return mode;
    const std::string known = join_names(modes, [](const ActivationMode& mode) { return mode.name; });
    fail(Status::invalid_argument, "activations: expected one of %s, found '%.*s'", known.c_str(),
         static_cast<int>(name.size()), name.data());
}

}  // namespace gq
