// Cuts step lists into stages and finds what is alive at a cut. See steps.h.
// In: a list of steps. Out: ranges of it that end where linears with one input end; slots that later steps read.
// Must not know architectures, weights or how a step is computed.
#include "core/model/steps.h"

#include <algorithm>

namespace gq {

size_t n_inputs(Op op) {
    switch (op) {
        case Op::attention:
            return 3;
        case Op::silu_mul:
        case Op::add:
            return 2;
        case Op::center:
        case Op::rms_norm:
        case Op::linear:
        case Op::add_bias:
        case Op::relu:
        case Op::gelu:
        case Op::rope:
            return 1;
        case Op::position:
            return 0;
    }
    return 0;
}

void StepList::cut_into_stages() {
    stage_begin.clear();
    for (size_t i = 0; i < steps.size(); ++i) {
        if (steps[i].op != Op::linear) continue;
        const bool goes_on = i > 0 && steps[i - 1].op == Op::linear && steps[i - 1].in[0] == steps[i].in[0];
        if (!goes_on) stage_begin.push_back(i);
    }
}

std::vector<size_t> StepList::stage_linears(size_t stage) const {
    std::vector<size_t> linears;
    for (size_t i = stage_begin[stage]; i < stage_end(stage) && steps[i].op == Op::linear; ++i) linears.push_back(i);
    return linears;
}

std::vector<SlotId> StepList::live_slots(size_t step, SlotId kept) const {
    std::vector<SlotId> live, written;
    const auto holds = [](const std::vector<SlotId>& set, SlotId slot) {
        return std::find(set.begin(), set.end(), slot) != set.end();
    };
    const auto read = [&](SlotId slot) {
        if (!holds(written, slot) && !holds(live, slot)) live.push_back(slot);
    };
    for (size_t i = step; i < steps.size(); ++i) {
        for (size_t k = 0; k < n_inputs(steps[i].op); ++k) read(steps[i].in[k]);
        if (!holds(written, steps[i].out)) written.push_back(steps[i].out);
    }
    read(kept);
    return live;
}

}  // namespace gq
