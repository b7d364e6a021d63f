// Binds the weights of a .gq in place. See model.h.
// In: the file's tensors and section 'model'. Out: a Model whose matrices point into the mapping, every part's size
// checked. Must not know which bit is which weight, nor who computes with it.
#include "core/base/status.h"
#include "core/model/model.h"

namespace gq {
namespace {

const std::byte* part_bytes(const GqTensor& tensor, const char* part, size_t expected) {
    const GqPart* found = tensor.find(part);
    if (!found)
        fail(Status::bad_file, "%s: part '%s' of %zu bytes expected, not found", tensor.name.c_str(), part, expected);
    if (found->bytes.size() != expected)
        fail(Status::bad_file, "%s: part '%s': %zu bytes expected, %zu found", tensor.name.c_str(), part, expected,
             found->bytes.size());
    return found->bytes.data();
}

const GqTensor& find_tensor(const GqFile& file, const std::string& name) {
    const GqTensor* tensor = file.find(name);
    if (!tensor) fail(Status::bad_file, "tensor '%s' expected, not found", name.c_str());
    return *tensor;
}

Weight bind(const GqFile& file, const WeightRow& row, size_t layer, const HyperParams& params) {
    const GqTensor& tensor = find_tensor(file, packed_name(row, layer));
    const size_t rows = row.rows(params), cols = row.cols(params);
    if (tensor.rows != rows || tensor.cols != cols || tensor.experts != 1)
        fail(Status::bad_file, "%s: shape (%zu, %zu) expected, (%llu, %llu) x %llu experts found", tensor.name.c_str(),
             rows, cols, static_cast<unsigned long long>(tensor.rows), static_cast<unsigned long long>(tensor.cols),
             static_cast<unsigned long long>(tensor.experts));
    Weight weight;
    weight.matrix = packed_view(tensor);
    const bool plain =
        weight.matrix.layout == PackedMatrix::Layout::row_major && std::string_view(weight.matrix.codes->name) == "f32";
    if (row.kind == WeightKind::vector) {
        if (!plain)
            fail(Status::bad_file, "%s: a vector of plain f32 values expected, found codes %s", tensor.name.c_str(),
                 tensor.codes.c_str());
        weight.vector = reinterpret_cast<const float*>(weight.matrix.code_bytes);
    }
    weight.low_rank = low_rank_view(tensor);
    if (tensor.find("bias"))
        weight.bias = reinterpret_cast<const float*>(part_bytes(tensor, "bias", rows * sizeof(float)));
    return weight;
}

bool has_low_rank(const GqTensor& tensor) {
    return tensor.grid.ends_with(low_rank_suffix);
}

void set_grid(PackedMatrix& matrix, const GqTensor& tensor) {
    std::string_view grid = tensor.grid;
    if (has_low_rank(tensor)) grid.remove_suffix(low_rank_suffix.size());
    matrix.grid = find_grid(grid);
    if (!matrix.grid)
        fail(Status::unsupported, "%s: grid '%s' is not known to this version", tensor.name.c_str(),
             tensor.grid.c_str());
    if (!is_group(matrix.group))
        fail(Status::bad_file, "%s: group: expected %s, found %zu", tensor.name.c_str(), group_words, matrix.group);
}

// Weights that the hyper-parameters leave no place for: without them this would be another model.
void refuse_unused(const GqFile& file, const Arch& arch, const HyperParams& params) {
    for (const WeightRow& row : arch.block_weights)
        if (const std::string name = packed_name(row, params.n_layers); file.find(name))
            fail(Status::bad_file, "section 'model': n_layers that covers every block expected, %zu and '%s' found",
                 params.n_layers, name.c_str());
    if (params.tied_head && file.find(packed_name(arch.head, 0)))
        fail(Status::bad_file, "section 'model': tied_head false expected beside the tensor '%s', true found",
             packed_name(arch.head, 0).c_str());
}

}  // namespace

PackedMatrix packed_view(const GqTensor& tensor) {
    PackedMatrix matrix;
    matrix.codes = find_codes(tensor.codes);
    if (!matrix.codes)
        fail(Status::unsupported, "%s: codes '%s' are not known to this version", tensor.name.c_str(),
             tensor.codes.c_str());
    matrix.rows = tensor.rows;
    matrix.cols = tensor.cols;
    if (tensor.find("values")) {
        if (!matrix.codes->is_float)
            fail(Status::bad_file, "%s: part 'values' holds floats, found codes %s", tensor.name.c_str(),
                 tensor.codes.c_str());
        matrix.layout = PackedMatrix::Layout::row_major;
        const size_t count = checked_mul(matrix.rows, matrix.cols, tensor.name.c_str());
        matrix.code_bytes =
            part_bytes(tensor, "values", checked_mul(count, matrix.codes->bits / 8, tensor.name.c_str()));
        return matrix;
    }
    matrix.group = tensor.group;
    if (!matrix.codes->is_float) set_grid(matrix, tensor);
    const PackedSizes sizes = packed_sizes(*matrix.codes, matrix.grid, matrix.rows, matrix.cols, matrix.group);
    matrix.code_bytes = part_bytes(tensor, "codes", sizes.code_bytes);
    if (matrix.grid) matrix.scales = part_bytes(tensor, "scales", sizes.scale_bytes);
    if (matrix.grid && matrix.grid->zeros_part)
        matrix.zeros = part_bytes(tensor, matrix.grid->zeros_part, sizes.zero_bytes);
    if (tensor.find("zeros") && !(matrix.grid && matrix.grid->has_zeros))
        fail(Status::bad_file, "%s: no part 'zeros' expected beside the grid '%s', one found", tensor.name.c_str(),
             tensor.grid.c_str());
    return matrix;
}

LowRank low_rank_view(const GqTensor& tensor) {
    if (!has_low_rank(tensor)) return {};
    PackedMatrix v;
    v.codes = find_codes("int8");
    v.grid = find_grid("symmetric");
    v.cols = tensor.cols;
    // The rank is what its scales say, one panel of rows after another; every size follows from it.
    const GqPart* scales = tensor.find("lorc_v_scales");
    const size_t panels = scales ? scales->bytes.size() / v.grid->scale_bytes : 0;
    const size_t most = div_up(tensor.cols, panel_rows);
    if (panels == 0 || panels > most)
        fail(Status::bad_file, "%s: part 'lorc_v_scales' of 1 to %zu panels expected, found %zu", tensor.name.c_str(),
             most, panels);
    v.rows = panels * panel_rows;
    PackedMatrix u = v;
    u.rows = tensor.rows;
    u.cols = v.rows;
    const PackedSizes u_sizes = packed_sizes(*u.codes, u.grid, u.rows, u.cols, 0),
                      v_sizes = packed_sizes(*v.codes, v.grid, v.rows, v.cols, 0);
    u.code_bytes = part_bytes(tensor, "lorc_u", u_sizes.code_bytes);
    u.scales = part_bytes(tensor, "lorc_u_scales", u_sizes.scale_bytes);
    v.code_bytes = part_bytes(tensor, "lorc_v", v_sizes.code_bytes);
    v.scales = part_bytes(tensor, "lorc_v_scales", v_sizes.scale_bytes);
    return {u, v};
}

namespace {

// A lookup reads rows, and the head's logits come from the same bytes: neither has a place for a correction.
Weight bind_uncorrected(const GqFile& file, const WeightRow& row, const HyperParams& params) {
    Weight weight = bind(file, row, 0, params);
    if (!weight.low_rank.empty())
        fail(Status::unsupported, "%s: a correction of low rank belongs to a block's linears",
             packed_name(row, 0).c_str());
    return weight;
}

}  // namespace

Model bind_packed(const GqFile& file) {
    const GqSection* section = file.section("model");
    if (!section) fail(Status::bad_file, "section 'model' expected, not found");
    Model model;
    model.params = HyperParams::from_json({reinterpret_cast<const char*>(section->bytes.data()), section->bytes.size()},
                                          "section 'model'");
    model.arch = find_arch(model.params.arch);
    if (!model.arch)
        fail(Status::unsupported, "section 'model': architecture '%s' is not known to this version",
             model.params.arch.c_str());
    if (model.params.head_turn && !model.arch->head_turn.role)
        fail(Status::bad_file, "section 'model': no head_turn expected in the network '%s', one found",
             model.arch->name);
    refuse_unused(file, *model.arch, model.params);
    model.network = model.arch->build(model.params);
    model.embedding = bind_uncorrected(file, model.arch->embedding, model.params);
    model.head = model.params.tied_head ? model.embedding : bind_uncorrected(file, model.arch->head, model.params);
    for (const WeightRow& row : model.arch->outer_weights)
        model.outer.roles.push_back(bind_uncorrected(file, row, model.params));
    if (model.params.head_turn) model.outer.roles.push_back(bind(file, model.arch->head_turn, 0, model.params));
    for (size_t layer = 0; layer < model.params.n_layers; ++layer) {
        BlockWeights block;
        for (const WeightRow& row : model.arch->block_weights)
            block.roles.push_back(bind(file, row, layer, model.params));
        model.blocks.push_back(std::move(block));
    }
    return model;
}

}  // namespace gq
