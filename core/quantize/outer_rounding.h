// How embedding and head are rounded. In: strips of their rows, for a head the Hessian of what it reads
// (head_hessian.h). Out: codes and grids. Must not know where rows and Hessians come from.
#pragma once

#include <optional>

#include "core/quantize/gptq.h"
#include "core/quantize/held_out.h"

namespace gq {

// Inputs that share a scale in embedding and head, where linears' groups are of `group` inputs (0: a row): 128 at most.
size_t outer_group(size_t group);

// Eight bits are so fine that feedback of errors does not show.
bool head_is_solved(const GridOptions& grid);

// GPTQ of a head, strip by strip.
class HeadSolver {
  public:
    // h: (cols, cols), both triangles, of what the head's rows are multiplied with. tied: the rows are the embedding's
    // too. options.grid is the head's; corrections of drift are not made. held_out: the same of other tokens, or (0,
    // 0): strips that lose less on them rounded to nearest are.
    HeadSolver(const Compute& compute, Matrix h, Matrix held_out, bool tied, GptqOptions options);

    // Another grid for the same head.
    void set_grid(const GridOptions& grid);

    // values: (n, cols). The strip's account is added to sum.
    QuantizedMatrix solve(const float* values, size_t n, SolveReport& sum) const;

  private:
    Compute compute_;
    Matrix hessian_;
    std::optional<HeldOut> held_out_;
    GptqOptions options_;
    PreparedHessian prepared_;
};

}  // namespace gq
