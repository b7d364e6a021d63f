// Keys and values of many sequences, in reference-counted pages of 64 positions.
// In: a geometry, a budget of pages. Out: page tables that attention reads. Must not know tokens or models.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/kernels/backend.h"

namespace gq {

using SequenceId = uint32_t;

class KvCache {
  public:
    // Pages are allocated when first needed, at most max_pages.
    KvCache(Backend& backend, const KvGeometry& geometry, size_t max_pages);
    ~KvCache();
    KvCache(const KvCache&) = delete;
    KvCache& operator=(const KvCache&) = delete;

    const KvGeometry& geometry() const { return geometry_; }
    size_t length(SequenceId sequence) const;  // positions held; 0 for an unknown sequence

    // Makes room for positions [0, n) of a sequence, and makes those from length() on its own to write; length() stays
    // until commit(). Error(context_full) when the budget is spent: pages taken for this call are given back first.
    void reserve(SequenceId sequence, size_t n_positions);
    bool has_room(SequenceId sequence, size_t n_positions) const;  // whether reserve() would succeed
    std::byte* const* pages(SequenceId sequence) const;
    void commit(SequenceId sequence, size_t n_positions);  // length() = n_positions

    // Forgets positions from n on, and pages reserved beyond length(); 0 frees the sequence.
    void truncate(SequenceId sequence, size_t n_positions);
    // `to` becomes a copy of `from`. They share pages; the partly filled one is copied by the first that writes to it
    // (reserve).
    void fork(SequenceId from, SequenceId to);

    size_t pages_in_use() const { return in_use_; }

  private:
    struct Sequence {
        std::vector<std::byte*> pages;
        size_t length = 0;
    };
    std::byte* take_page();
    void drop_page(std::byte* page);
    bool shares_open_page(const Sequence& sequence) const;
    void own_open_page(Sequence& sequence);
    void shrink(Sequence& sequence, size_t n_pages);

    Backend& backend_;
    KvGeometry geometry_;
    size_t max_pages_, in_use_ = 0;
    std::map<SequenceId, Sequence> sequences_;
    std::map<std::byte*, uint32_t> references_;
    std::vector<std::byte*> free_;
};

}  // namespace gq
