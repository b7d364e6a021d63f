// Page tables and reference counts. See kv_cache.h.
#include "core/runtime/kv_cache.h"

#include <cstring>

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
        fail(Status::context_full, "kv cache: all %zu pages of %zu positions are in use", max_pages_, kv_page_positions);
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

void KvCache::reserve(SequenceId id, size_t n_positions) {
    Sequence& sequence = sequences_[id];
    const size_t before = sequence.pages.size();
    try {
        while (sequence.pages.size() * kv_page_positions < n_positions) sequence.pages.push_back(take_page());
    } catch (...) {
        shrink(sequence, before);
        throw;
    }
}

bool KvCache::has_room(SequenceId id, size_t n_positions) const {
    const auto found = sequences_.find(id);
    const size_t held = found == sequences_.end() ? 0 : found->second.pages.size();
    return div_up(n_positions, kv_page_positions) <= held + (max_pages_ - in_use_);
}

std::byte* const* KvCache::pages(SequenceId sequence) const { return sequences_.at(sequence).pages.data(); }

void KvCache::commit(SequenceId sequence, size_t n_positions) { sequences_[sequence].length = n_positions; }

void KvCache::truncate(SequenceId id, size_t n_positions) {
    const auto found = sequences_.find(id);
    if (found == sequences_.end() || n_positions >= found->second.length) return;
    shrink(found->second, div_up(n_positions, kv_page_positions));
    found->second.length = n_positions;
    if (n_positions == 0) sequences_.erase(found);
}

void KvCache::fork(SequenceId from, SequenceId to) {
    if (from == to) return;
    truncate(to, 0);
    const auto source = sequences_.find(from);
    if (source == sequences_.end()) return;
    Sequence copy;
    copy.length = source->second.length;
    const size_t whole = copy.length / kv_page_positions;
    if (copy.length % kv_page_positions != 0) {
        copy.pages.push_back(take_page());  // first: it may throw, before any count has moved
        std::memcpy(copy.pages.back(), source->second.pages[whole], geometry_.page_bytes());
    }
    copy.pages.insert(copy.pages.begin(), source->second.pages.begin(), source->second.pages.begin() + static_cast<ptrdiff_t>(whole));
    for (size_t i = 0; i < whole; ++i) ++references_[copy.pages[i]];
    sequences_[to] = std::move(copy);
}

}  // namespace gq
