// The sizes and constants of a network, whatever the checkpoint calls them.
// In: JSON of a .gq's "model" section. Out: a checked struct, and back. Must not know config keys of other formats
// (arch_X.cpp does) or weights.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gq {

struct HyperParams {
    std::string arch;   // name of the Arch
    size_t vocab = 0;   // rows of the embedding
    size_t hidden = 0;  // width of the residual stream
    size_t ffn = 0;     // width inside the feed-forward part
    size_t n_layers = 0;
    size_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
    size_t context = 0;         // positions it was trained for
    size_t sliding_window = 0;  // 0: every key up to the query is seen
    double norm_eps = 0;
    bool tied_head = false;  // the head is the embedding
    bool head_turn =
        false;  // a linear (hidden, hidden) stands before the head: what a rotated model with a tied head needs
    // (head_dim / 2): radians per position, scaling folded in; empty without rotary positions
    std::vector<float> rope_inv_freq;

    // Both throw Error(bad_file) naming the field, what was expected and found. Whoever reads the sizes from a file
    // checks them before anything is computed from them or allocated for them; check() looks at all members.
    void check_sizes() const;
    void check() const;
    std::string to_json() const;
    static HyperParams from_json(std::string_view json, const std::string& where);
};

}  // namespace gq
