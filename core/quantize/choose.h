// Widths and groups of all matrices for a file of a given size, or for bits a weight of the linears.
// In: a table of sensitivities, the file's other parts, a target. Out: a grid for each matrix, and how long the file
// will be. Must not know how sensitivities were measured.
#pragma once

#include "core/quantize/quantize.h"
#include "core/quantize/report.h"
#include "core/quantize/sections.h"
#include "core/quantize/sensitivity.h"

namespace gq {

// A grid of 16 bits keeps floats.
struct Assignment {
    GridOptions embedding, head;
    std::vector<std::vector<GridOptions>> blocks;  // by layer, then RoleId; vectors' entries mean nothing
    std::vector<std::vector<double>> kl;           // as blocks: what each linear is expected to cost; empty: unknown
    size_t provenance_bytes = 0;                   // that the target leaves for it at most; 0: no target

    // The same for all.
    Assignment(const HyperParams& params, size_t n_roles, const GridOptions& linears, const GridOptions& outer);
};

// What has to be measured for a target. It chooses from the widths that integer codes exist for, times the groups and
// grids that options leave.
SensitivityRequest target_request(const QuantizeOptions& options);

// What choose() has to know of the file beside its matrices.
struct FileFrame {
    const Arch& arch;
    const Network& network;     // of the source: the order in which linears are written
    const HyperParams& params;  // as written
    const Sections& sections;
    const RunReport& run;
    const QuantizeOptions& options;
    const char* float_codes;  // of an embedding and a head that are kept
};

// How long the file will be at most: all but the provenance exactly, that with numbers as long as they can get.
uint64_t file_bytes(const FileFrame& frame, const Assignment& assignment);

// Error(invalid_argument) naming the least that is possible where the target is below it: before anything is measured,
// and where not all of the request could be.
void check_target(const FileFrame& frame, const SensitivityRequest& request, const Assignment& start);
Assignment choose(const FileFrame& frame, const SensitivityTable& table, Assignment start);

}  // namespace gq
