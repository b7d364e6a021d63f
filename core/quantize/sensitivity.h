// How much each weight matters: what rounding does at a linear's output, and what that does to the model's predictions.
// In: a float model, calibration windows, the widths and choices in question. Out: a table. Must not know files or
// budgets.
//
// Losses are relative: tr(E H Eᵀ) / tr(W H Wᵀ), E = Q - W, so that layers compare; H of the float model's inputs. The
// effect of a loss on the model is taken to be proportional to it: KL(choice) = loss(choice) · KL(probe) / loss(probe),
// the probe being plain rounding of this weight alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/quantize/float_model.h"
#include "core/quantize/kl_probe.h"

namespace gq {

// This weight alone rounded to nearest on clipped grids; a head as the quantizer would.
struct WidthEffect {
    GridOptions grid;
    double rounding = 0;  // relative loss; of embedding and head |Q - W|² / |W|²
    Divergence effect;
};

// This weight solved by GPTQ, the inputs being the float model's.
struct ChoiceLoss {
    GridOptions grid;
    double predicted = 0;  // from scales and U alone: Σ s² / (24 U_jj²), which knows no clipping
    double measured = 0;   // of a solve of up to 64 evenly spread rows
};

struct Sensitivity {
    std::string name;        // "blocks.3.attn_q"
    std::string class_name;  // its role: "attn_q"
    size_t layer = 0;
    RoleId role = 0;
    size_t rows = 0, cols = 0;
    std::vector<WidthEffect> effects;
    std::vector<ChoiceLoss> losses;

    // KL expected of a relative loss, from the effect of the first width.
    double kl_of(double loss) const;
};

struct SensitivityTable {
    double float_loss = 0;             // mean -log p(next token) of the float model on the probe's tokens
    size_t tokens = 0;                 // that were scored
    std::vector<Sensitivity> outer;    // embedding, and the head where it is not the embedding
    std::vector<Sensitivity> linears;  // layer by layer, in the order of roles
};

struct SensitivityRequest {
    std::vector<GridOptions> effects;  // of each linear; the first one calibrates kl_of()
    std::vector<GridOptions> choices;  // of each linear, solved
    std::vector<GridOptions> outer;    // of embedding and head, whose effect is measured at each
    bool solves_head = true;           // where its grid is coarse (outer_rounding.h), else it is rounded to nearest
    GptqOptions solver;                // its grid is not looked at; no sweeps, re-fit or drift here
};

// Called behind each row with the number done and the number there will be.
using SensitivityCallback = std::function<void(const Sensitivity& row, size_t n_done, size_t n_total)>;

// The probe's tokens are up to 4 windows of up to 128 tokens from the calibration's. solver.order gar: all choices have
// one group.
SensitivityTable measure_sensitivity(const FloatModel& model, const RotatedSource& rotated,
                                     std::span<const std::vector<int32_t>> windows, const Compute& compute,
                                     const SensitivityRequest& request, const SensitivityCallback& progress);

}  // namespace gq
