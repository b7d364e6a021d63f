// Memory by slot. See hidden_store.h.
// In: slots. Out: their rows, window by window. Must not know what the slots mean.
#include "core/quantize/hidden_store.h"

#include <algorithm>

#include "core/base/status.h"

namespace gq {

void HiddenStore::add(SlotId slot, size_t stride) {
    if (slots_.contains(slot)) return;
    const size_t size = checked_mul(n_windows_ * window_, stride, "hidden states");
    slots_[slot] = {stride, AlignedBuffer<float>(size)};
}

float* HiddenStore::rows(SlotId slot, size_t index) {
    const auto found = slots_.find(slot);
    if (found == slots_.end()) fail(Status::internal, "hidden store: slot %d was not kept", slot);
    return found->second.values.data() + index * window_ * found->second.stride;
}

void HiddenStore::keep_only(std::span<const SlotId> slots) {
    std::erase_if(slots_,
                  [&](const auto& entry) { return std::find(slots.begin(), slots.end(), entry.first) == slots.end(); });
}

std::vector<SlotId> HiddenStore::slots() const {
    std::vector<SlotId> result;
    for (const auto& [slot, rows] : slots_) result.push_back(slot);
    return result;
}

}  // namespace gq
