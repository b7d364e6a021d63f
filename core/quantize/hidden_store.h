// Activations of all calibration windows between stages: the slots that are live at the cut, in memory.
// In: which slots there are. Out: where a window's rows of a slot stand. Must not know what the slots mean.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "core/base/memory.h"
#include "core/model/steps.h"

namespace gq {

class HiddenStore {
  public:
    HiddenStore(size_t n_windows, size_t window) : n_windows_(n_windows), window_(window) {}

    // Makes room for a slot that is not there, zeroed.
    void add(SlotId slot, size_t stride);
    // The window's rows of a slot that is there: (window, stride).
    float* rows(SlotId slot, size_t index);
    // Gives up every slot that is not listed.
    void keep_only(std::span<const SlotId> slots);
    std::vector<SlotId> slots() const;

  private:
    // All windows of a slot, one after another.
    struct Rows {
        size_t stride = 0;
        AlignedBuffer<float> values;  // (n_windows * window, stride)
    };
    size_t n_windows_, window_;
    std::map<SlotId, Rows> slots_;
};

}  // namespace gq
