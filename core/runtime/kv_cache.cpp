// Page tables and reference counts. See kv_cache.h.
// In: sequences, positions to make room for. Out: pages, shared by sequences with a common beginning until written.
// Must not know what a page holds, nor models.
#include "core/runtime/kv_cache.h"

#include <algorithm>

#include "core/base/memory.h"
#include "core/base/status.h"

namespace gq {

KvCache::KvCache(Backend& backend, const KvGeometry& geometry, size_t max_pages)
    : backend_(backend), geometry_(geometry), max_pages_(max_pages) {}

KvCache::~KvCache() {
    for (const auto& [page, count] : references_) backend_.release(page);
    for (std::byte* page : free_) backend_.release(page);
}

size_t KvCache::length(SequenceId sequence) const {
    const auto found = sequences_.find(sequence);
    return found == sequences_.end() ? 0 : found->second.length;
}

std::byte* KvCache::take_page() {
    if (in_use_ == max_pages_)
        fail(Status::context_full, "kv cache: all %zu pages of %zu positions are in use", max_pages_,
             kv_page_positions);
    std::byte* page = nullptr;
    if (free_.empty()) {
        page = static_cast<std::byte*>(backend_.allocate(geometry_.page_bytes()));
    } else {
        page = free_.back();
        free_.pop_back();
    }
    references_[page] = 1;
    ++in_use_;
    return page;
}

void KvCache::drop_page(std::byte* page) {
    if (--references_[page] > 0) return;
    references_.erase(page);
    free_.push_back(page);
    --in_use_;
}

void KvCache::shrink(Sequence& sequence, size_t n_pages) {
    while (sequence.pages.size() > n_pages) {
        drop_page(sequence.pages.back());
        sequence.pages.pop_back();
    }
}

// The page that the sequence's next position falls into, when it is partly filled and others read it as well.
bool KvCache::shares_open_page(const Sequence& sequence) const {
    if (sequence.length % kv_page_positions == 0) return false;
    return references_.at(sequence.pages[sequence.length / kv_page_positions]) > 1;
}

void KvCache::own_open_page(Sequence& sequence) {
    if (!shares_open_page(sequence)) return;
    std::byte*& page = sequence.pages[sequence.length / kv_page_positions];
    std::byte* own = take_page();
    backend_.copy(page, geometry_.page_bytes(), own);
    drop_page(page);
    page = own;
}

void KvCache::reserve(SequenceId id, size_t n_positions) {
    Sequence& sequence = sequences_[id];
    if (n_positions <= sequence.length) return;
    const size_t before = sequence.pages.size();
    try {
        while (sequence.pages.size() * kv_page_positions < n_positions) sequence.pages.push_back(take_page());
        own_open_page(sequence);
    } catch (...) {
        shrink(sequence, before);
        if (sequence.pages.empty()) sequences_.erase(id);
        throw;
    }
}

bool KvCache::has_room(SequenceId id, size_t n_positions) const {
    const auto found = sequences_.find(id);
    if (found == sequences_.end()) return div_up(n_positions, kv_page_positions) <= max_pages_ - in_use_;
    const Sequence& sequence = found->second;
    if (n_positions <= sequence.length) return true;
    const size_t copied = shares_open_page(sequence) ? 1 : 0;
    return div_up(n_positions, kv_page_positions) + copied <= sequence.pages.size() + (max_pages_ - in_use_);
}

std::byte* const* KvCache::pages(SequenceId sequence) const {
    return sequences_.at(sequence).pages.data();
}

void KvCache::commit(SequenceId sequence, size_t n_positions) {
    sequences_[sequence].length = n_positions;
}

void KvCache::truncate(SequenceId id, size_t n_positions) {
    const auto found = sequences_.find(id);
    if (found == sequences_.end()) return;
    Sequence& sequence = found->second;
    sequence.length = std::min(n_positions, sequence.length);
    shrink(sequence, div_up(sequence.length, kv_page_positions));
    if (sequence.length == 0) sequences_.erase(found);
}

void KvCache::fork(SequenceId from, SequenceId to) {
    if (from == to) return;
    truncate(to, 0);
    const auto source = sequences_.find(from);
    if (source == sequences_.end()) return;
    Sequence copy = source->second;
    copy.pages.resize(div_up(copy.length, kv_page_positions));  // not those reserved beyond
    for (std::byte* page : copy.pages) ++references_[page];
    sequences_[to] = std::move(copy);
}

}  // namespace gq
