// What the two halves of the CPU's linear layers share: panels of several tasks as one list that threads cut.
// In: tasks. Out: runs of panels of one task. Must not know instruction sets. Part of cpu_backend.
#pragma once

#include <algorithm>

#include "core/kernels/cpu_backend.h"

namespace gq {

// A contiguous run of panels of one task, for one thread.
struct CpuBackend::PanelRange {
    const LinearTask& task;
    const Activations& x;
    Q8Rows q8;  // no values: integer codes compute in floats too
    size_t n_rows;
    size_t begin, end;

    bool in_floats() const { return task.weights->codes->is_float || !q8.values; }
    LinearArgs args() const {
        return {.weights = task.weights,
                .panel_begin = begin,
                .panel_end = end,
                .n_tokens = n_rows,
                .q8 = q8,
                .x = x.data,
                .x_stride = x.stride,
                .y = task.y.data,
                .y_stride = task.y.stride};
    }
};

// Panels of whole pairs that have so much room, a pair at least.
inline size_t pairs_within(size_t room, size_t panel_size) {
    return std::max(panel_pair, room / panel_size / panel_pair * panel_pair);
}

inline size_t count_panels(std::span<const LinearTask> tasks) {
    size_t n = 0;
    for (const LinearTask& task : tasks) n += task.weights->n_panels();
    return n;
}

// use(index of the task, first panel, last + 1) for each task with panels among [begin, end) of all tasks' panels.
template <class Use>
void for_panels(std::span<const LinearTask> tasks, size_t begin, size_t end, const Use& use) {
    size_t first = 0;  // position of the task's panel 0 in the run of all panels
    for (size_t i = 0; i < tasks.size(); ++i) {
        const size_t count = tasks[i].weights->n_panels();
        const size_t from = std::max(begin, first), to = std::min(end, first + count);
        if (from < to) use(i, from - first, to - first);
        first += count;
    }
}

}  // namespace gq
