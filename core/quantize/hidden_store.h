// Activations of all calibration windows between stages: the slots that are live at the cut, in memory.
// In: one window's slot after a stage. Out: the same rows before the next. Must not know what the slots mean.
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

    // Copies the window's rows of a slot in / out. put() makes room for the slot on first use.
    void put(SlotId slot, size_t index, const Activations& from);
    void get(SlotId slot, size_t index, const Activations& to) const;
    // Gives up every slot that is not listed.
    void keep_only(std::span<const SlotId> slots);
    std::vector<SlotId> slots() const;

  private:
    size_t n_windows_, window_;
    std::map<SlotId, std::vector<AlignedBuffer<float>>> rows_;  // by slot, then window: (window, stride)
};

}  // namespace gq
