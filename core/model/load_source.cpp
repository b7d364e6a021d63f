// Reads a float checkpoint for the quantizer: names, shapes and row orders are resolved here. See model.h.
// In: a Checkpoint. Out: each weight as floats in our order, when it is asked for. Must not know file layouts, nor what
// becomes of the floats.
#include <cmath>
#include <cstring>
#include <set>

#include "core/base/status.h"
#include "core/model/model.h"
#include "formats/tensor_table.h"

namespace gq {
namespace {

std::string with_layer(std::string_view pattern, size_t layer) {
    std::string name(pattern);
    const size_t at = name.find("{}");
    if (at != std::string::npos) name.replace(at, 2, std::to_string(layer));
    return name;
}

std::string_view without_prefix(std::string_view name, const Arch& arch) {
    return name.starts_with(arch.hugging_face_prefix) ? name.substr(arch.hugging_face_prefix.size()) : name;
}

void check_finite(const float* values, size_t rows, size_t cols, size_t first_row, const SourceTensor& tensor) {
    for (size_t i = 0; i < rows * cols; ++i) {
        if (std::isfinite(values[i])) continue;
        fail(Status::numeric, "%s: finite weights expected, found %g at (%zu, %zu), tensor at %s", tensor.name.c_str(),
             static_cast<double>(values[i]), first_row + i / cols, i % cols, tensor.where.c_str());
    }
}

}  // namespace

std::string packed_name(const WeightRow& row, size_t layer) {
    const bool in_block = std::string_view(row.hugging_face).find("{}") != std::string_view::npos;
    return in_block ? "blocks." + std::to_string(layer) + "." + row.role : row.role;
}

SourceModel::SourceModel(const Checkpoint& checkpoint) : checkpoint_(checkpoint), arch_(&arch_of(checkpoint)) {
    params_ = checkpoint.kind() == Checkpoint::Kind::gguf
                  ? arch_->read_gguf(checkpoint)
                  : arch_->read_hugging_face(checkpoint.metadata().at("config", "checkpoint folder"));
    params_.arch = arch_->name;
    params_.check();
    network_ = arch_->build(params_);
    check_weight(arch_->embedding, 0);
    if (!params_.tied_head) check_weight(arch_->head, 0);
    for (const WeightRow& row : arch_->outer_weights) check_weight(row, 0);
    for (size_t layer = 0; layer < params_.n_layers; ++layer)
        for (const WeightRow& row : arch_->block_weights) check_weight(row, layer);
    refuse_unclaimed();
}

const char* SourceModel::name_pattern(const WeightRow& row) const {
    return checkpoint_.kind() == Checkpoint::Kind::gguf ? row.gguf : row.hugging_face;
}

// A head beside a tied embedding is claimed too: Hugging Face's own loader leaves it alone.
void SourceModel::refuse_unclaimed() const {
    std::set<std::string, std::less<>> claimed;
    const auto claim = [&](const WeightRow& row, size_t layer) {
        if (const SourceTensor* found = find(row, layer)) claimed.insert(found->name);
    };
    for (const WeightRow* row : {&arch_->embedding, &arch_->head}) claim(*row, 0);
    for (const WeightRow& row : arch_->outer_weights) claim(row, 0);
    for (size_t layer = 0; layer < params_.n_layers; ++layer) {
        for (const WeightRow& row : arch_->block_weights) claim(row, layer);
        for (const char* pattern : arch_->spare_tensors) claimed.insert(with_layer(pattern, layer));
    }
    for (const SourceTensor& found : checkpoint_.tensors())
        if (!claimed.contains(found.name))
            fail(Status::unsupported,
                 "%s: tensor '%s' at %s has no place in a %s network of %zu layers: without it this would be another "
                 "model",
                 checkpoint_.path().c_str(), found.name.c_str(), found.where.c_str(), arch_->name, params_.n_layers);
}

const SourceTensor* SourceModel::find(const WeightRow& row, size_t layer) const {
    const std::string name = with_layer(name_pattern(row), layer);
    const SourceTensor* found = checkpoint_.find(name);
    return found ? found : checkpoint_.find(std::string(without_prefix(name, *arch_)));
}

const SourceTensor& SourceModel::tensor(const WeightRow& row, size_t layer) const {
    const SourceTensor* found = find(row, layer);
    if (!found)
        fail(Status::bad_file, "%s: tensor '%s' expected, not found", checkpoint_.path().c_str(),
             with_layer(name_pattern(row), layer).c_str());
    return *found;
}

void SourceModel::check_weight(const WeightRow& row, size_t layer) const {
    const SourceTensor& found = tensor(row, layer);
    const size_t parts = row.part.count, rows = row.rows(params_), cols = row.cols(params_);
    const std::vector<size_t> expected =
        row.kind == WeightKind::vector ? std::vector{cols * parts} : std::vector{rows * parts, cols};
    if (found.shape != expected)
        fail(Status::bad_file, "%s: shape %s expected, %s found, at %s", found.name.c_str(),
             shape_text(expected).c_str(), shape_text(found.shape).c_str(), found.where.c_str());
    if (!traits(found.type).to_f32)
        fail(Status::unsupported, "%s: element type %s can't be converted to float, at %s", found.name.c_str(),
             traits(found.type).name, found.where.c_str());
}

bool SourceModel::moves_rows(const WeightRow& row) const {
    const bool gguf = checkpoint_.kind() == Checkpoint::Kind::gguf;
    return gguf ? row.gguf_order == RowOrder::rope_pairs : row.part.count > 1;
}

// GGUF's adjacent rotation pairs → our halves: see RowOrder::rope_pairs. A part of every head: see HeadPart.
size_t SourceModel::source_row(const WeightRow& row, size_t r) const {
    if (!moves_rows(row)) return r;
    const size_t head_dim = params_.head_dim, in_head = r % head_dim, head = r / head_dim;
    if (row.part.count > 1) return (head * row.part.count + row.part.index) * head_dim + in_head;
    return head * head_dim + in_head % (head_dim / 2) * 2 + in_head / (head_dim / 2);
}

AlignedBuffer<float> SourceModel::read(const WeightRow& row, size_t layer) const {
    const SourceTensor& source = tensor(row, layer);
    const bool is_vector = row.kind == WeightKind::vector;  // whose elements are rows of 1 here
    const size_t rows = is_vector ? row.cols(params_) : row.rows(params_), cols = is_vector ? 1 : row.cols(params_);
    AlignedBuffer<float> values(checked_mul(source.shape[0], cols, source.name.c_str()));
    Checkpoint::read_rows(source, 0, source.shape[0], values.data());
    check_finite(values.data(), is_vector ? 1 : source.shape[0], is_vector ? source.shape[0] : cols, 0, source);
    checkpoint_.forget(source);
    if (!moves_rows(row)) return values;
    AlignedBuffer<float> ours(rows * cols);
    for (size_t r = 0; r < rows; ++r)
        std::memcpy(&ours[r * cols], &values[source_row(row, r) * cols], cols * sizeof(float));
    return ours;
}

void SourceModel::read_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end, float* out) const {
    const SourceTensor& source = tensor(row, layer);
    Checkpoint::read_rows(source, row_begin, row_end, out);
    check_finite(out, row_end - row_begin, row.cols(params_), row_begin, source);
    if (row_end == source.shape[0]) checkpoint_.forget(source);  // strips go upwards: this was the last one
}

}  // namespace gq
