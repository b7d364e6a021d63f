// Reads a checkpoint whole. See float_model.h.
// In: a source's weights, one at a time. Out: the same in 16 bits, bound to the network. Must not know the passes that
// it serves.
#include "core/quantize/float_model.h"

#include <algorithm>

namespace gq {
namespace {

const char* codes_for(ElementType type, bool turned, const float* values, size_t n) {
    if (type == ElementType::bf16 && !turned) return "bf16";
    return fits_f16(values, n) ? "f16" : "bf16";
}

}  // namespace

FloatModel::FloatModel(const SourceModel& source, const RotatedSource& rotated, const Compute& compute)
    : source_(source), rotated_(rotated), compute_(compute) {
    const Arch& arch = source.arch();
    model_.params = rotated.params();
    model_.arch = &arch;
    model_.network = arch.build(model_.params);
    model_.embedding.matrix = vocabulary(arch.embedding);
    if (model_.params.tied_head) {
        model_.head = model_.embedding;
    } else {
        model_.head.matrix = vocabulary(arch.head);
    }
    for (const WeightRow& row : arch.outer_weights) model_.outer.roles.push_back(weight(row, 0));
    if (model_.params.head_turn) {
        const size_t n = model_.params.hidden;
        PackedTensor turn = room_for_floats(n, n, "f16");
        pack_float_strip(compute_, rotated.head_turn().data(), n, 0, turn);
        model_.outer.roles.push_back({.matrix = keep(std::move(turn))});
    }
    for (size_t layer = 0; layer < model_.params.n_layers; ++layer) {
        BlockWeights& block = model_.blocks.emplace_back();
        for (const WeightRow& row : arch.block_weights) block.roles.push_back(weight(row, layer));
    }
}

PackedMatrix FloatModel::keep(PackedTensor tensor) {
    tensors_.push_back(std::move(tensor));
    return tensors_.back().matrix;
}

PackedMatrix FloatModel::matrix(const WeightRow& row, size_t layer) {
    const size_t rows = row.rows(model_.params), cols = row.cols(model_.params);
    const AlignedBuffer<float> w = rotated_.read(row, layer);
    PackedTensor tensor = room_for_floats(
        rows, cols, codes_for(source_.tensor(row, layer).type, rotated_.turned(), w.data(), rows * cols));
    pack_float_strip(compute_, w.data(), rows, 0, tensor);
    return keep(std::move(tensor));
}

// A vocabulary's values are small, so that f16 holds them whatever a strip of them says of the others.
PackedMatrix FloatModel::vocabulary(const WeightRow& row) {
    const size_t rows = row.rows(model_.params), cols = row.cols(model_.params);
    const bool kept = source_.tensor(row, 0).type == ElementType::bf16 && !rotated_.turned();
    PackedTensor tensor = room_for_floats(rows, cols, kept ? "bf16" : "f16");
    rotated_.for_strips(row, 0, [&](size_t first, size_t n, const float* values) {
        pack_float_strip(compute_, values, n, first, tensor);
    });
    return keep(std::move(tensor));
}

Weight FloatModel::weight(const WeightRow& row, size_t layer) {
    if (row.kind != WeightKind::vector) return {.matrix = matrix(row, layer)};
    vectors_.push_back(rotated_.read(row, layer));
    return {.matrix = {}, .vector = vectors_.back().data()};
}

}  // namespace gq
