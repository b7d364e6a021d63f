// What a family of networks is: the names it goes by, how its hyper-parameters are read, its weights, its steps.
// Each arch_X.cpp defines one constant; adding a family is one new file. Must not know the formats beyond checkpoint.h,
// nor kernels.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/model/hyper_params.h"
#include "core/model/steps.h"
#include "formats/checkpoint.h"

namespace gq {

// How the rows of a GGUF tensor stand compared with ours (Hugging Face's half-split RoPE order).
enum class RowOrder : uint8_t {
    same,
    rope_pairs,  // GGUF row (head, 2 i + t) is our row (head, t * head_dim / 2 + i)
};

enum class WeightKind : uint8_t {
    linear,
    vector,
    table,  // outside of blocks: rows that are looked up
};

// Where a checkpoint holds several weights in one tensor, head by head: `index` of `count` parts of every head's rows.
struct HeadPart {
    uint8_t index = 0, count = 1;
};

// One weight. In hugging_face and gguf names, "{}" stands for the layer.
struct WeightRow {
    const char* role;  // our name: "attn_q"; in a .gq "blocks.{}.attn_q"
    const char* hugging_face;
    const char* gguf;
    WeightKind kind;
    RowOrder gguf_order;
    size_t (*rows)(const HyperParams&);  // (rows, cols) of a linear; cols is the length of a vector, rows 1
    size_t (*cols)(const HyperParams&);
    HeadPart part = {};  // of a Hugging Face tensor
};

struct Arch {
    const char* name;
    std::span<const char* const> hugging_face_classes;  // config.json "architectures"
    std::span<const char* const> gguf_names;            // "general.architecture"
    HyperParams (*read_hugging_face)(const JsonValue& config);
    HyperParams (*read_gguf)(const Checkpoint& checkpoint);
    std::span<const WeightRow> block_weights;  // RoleId is the position here
    WeightRow embedding, head;
    std::span<const WeightRow> outer_weights;  // of prologue and epilogue; RoleId is the position here
    WeightRow head_turn;  // of HyperParams::head_turn; only a .gq has it. Its RoleId follows the outer weights'
    // Tensors of either format that may be there and are no weights ("{}" stands for the layer); any other tensor that
    // no row claims is refused, for a network without it would be another one.
    std::span<const char* const> spare_tensors;
    // What hugging_face names begin with and some files leave out: transformers takes them with and without.
    std::string_view hugging_face_prefix;
    Network (*build)(const HyperParams& params);
};

std::span<const Arch* const> all_archs();
const Arch* find_arch(std::string_view name);
// By config.json's class or GGUF's architecture; throws Error(unsupported) naming what was found and what is known.
const Arch& arch_of(const Checkpoint& checkpoint);

}  // namespace gq
