// Copies rows in and out. See hidden_store.h.
// In: slots of one window. Out: the same rows later. Must not know what the slots mean.
#include "core/quantize/hidden_store.h"

#include <algorithm>

#include "core/base/status.h"

namespace gq {

void HiddenStore::put(SlotId slot, size_t index, const Activations& from) {
    std::vector<AlignedBuffer<float>>& windows = rows_[slot];
    windows.resize(n_windows_);
    if (windows[index].size() == 0) windows[index] = AlignedBuffer<float>(window_ * from.stride);
    std::copy_n(from.data, window_ * from.stride, windows[index].data());
}

void HiddenStore::get(SlotId slot, size_t index, const Activations& to) const {
    const auto found = rows_.find(slot);
    if (found == rows_.end()) fail(Status::internal, "hidden store: slot %d was not kept", slot);
    std::copy_n(found->second[index].data(), window_ * to.stride, to.data);
}

void HiddenStore::keep_only(std::span<const SlotId> slots) {
    std::erase_if(rows_,
                  [&](const auto& entry) { return std::find(slots.begin(), slots.end(), entry.first) == slots.end(); });
}

std::vector<SlotId> HiddenStore::slots() const {
    std::vector<SlotId> result;
    for (const auto& [slot, windows] : rows_) result.push_back(slot);
    return result;
}

}  // namespace gq
