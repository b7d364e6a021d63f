// A hash map from 64-bit keys to small values, in one array: two merges' look-ups cost two cache lines, and building it
// one allocation. In: keys other than FlatMap::no_key. Out: values. Must not know what the keys mean. Nothing can be
// removed.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace gq {

template <typename Value>
class FlatMap {
  public:
    static constexpr uint64_t no_key = ~uint64_t{0};

    // Room for `count` keys without growing.
    void reserve(size_t count) {
        const size_t wanted = std::bit_ceil(count * 2 + 2);
        if (wanted > slots_.size()) rebuild(wanted);
    }
    // The value of the key, which is added with a default value when absent.
    Value& operator[](uint64_t key) {
        if (count_ * 2 >= slots_.size()) reserve(count_ * 2 + 8);
        Slot& slot = slots_[place(key)];
        if (slot.key == no_key) {
            slot.key = key;
            ++count_;
        }
        return slot.value;
    }
    const Value* find(uint64_t key) const {
        if (count_ == 0) return nullptr;
        const Slot& slot = slots_[place(key)];
        return slot.key == no_key ? nullptr : &slot.value;
    }
    size_t size() const { return count_; }

  private:
    struct Slot {
        uint64_t key = no_key;
        Value value{};
    };

    // The slot that holds the key, or the free one where it belongs.
    size_t place(uint64_t key) const {
        const uint64_t hash = (key ^ key >> 32) * 0x9E3779B97F4A7C15u;
        size_t at = (hash >> 32) & (slots_.size() - 1);
        while (slots_[at].key != key && slots_[at].key != no_key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    void rebuild(size_t size) {
        std::vector<Slot> old(size);
        old.swap(slots_);
        for (Slot& slot : old) {
            if (slot.key != no_key) slots_[place(slot.key)] = std::move(slot);
        }
    }

    std::vector<Slot> slots_;
    size_t count_ = 0;
};

}  // namespace gq
