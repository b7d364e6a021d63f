// Reads zeroed memory in several ways and keeps the best time. A way is a number of streams (places that one thread
// reads at in turn, which keeps more of the memory's channels and of the prefetcher busy) and a distance of
// prefetching. See read_bandwidth.h.
#include "core/kernels/read_bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/kernels/stopwatch.h"

namespace gq {
namespace {

constexpr size_t probed_bytes = size_t{512} << 20;  // larger than any cache
constexpr size_t line_words = cache_line / sizeof(uint64_t);

// The bitwise or of `lines` cache lines: the read cannot be left out, and the ors hide behind the loads.
template <size_t n_streams, size_t ahead_bytes>
uint64_t read_streams(const uint64_t* words, size_t lines) {
    uint64_t seen[line_words] = {};
    const size_t stream_words = lines / n_streams * line_words;
    for (size_t at = 0; at < stream_words; at += line_words) {
        for (size_t stream = 0; stream < n_streams; ++stream) {
            const uint64_t* line = words + stream * stream_words + at;
            if constexpr (ahead_bytes != 0) __builtin_prefetch(line + ahead_bytes / sizeof(uint64_t));
            for (size_t i = 0; i < line_words; ++i) seen[i] |= line[i];
        }
    }
    for (size_t i = 1; i < line_words; ++i) seen[0] |= seen[i];
    return seen[0];
}

constexpr uint64_t (*ways[n_read_ways])(const uint64_t*, size_t) = {
    read_streams<1, 0>,    read_streams<2, 0>,    read_streams<4, 0>,    read_streams<8, 0>,
    read_streams<1, 4096>, read_streams<2, 2048>, read_streams<4, 1024>, read_streams<8, 512>,
};

// Zeroed pages of its own, touched, so that reading them reads memory.
class ProbedMemory {
  public:
    explicit ProbedMemory(bool huge_pages)
        : data_(mmap(nullptr, probed_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        if (data_ == MAP_FAILED) fail(Status::out_of_memory, "bandwidth probe: no memory for %zu bytes", probed_bytes);
        // A wish: where it is refused, both runs are alike.
        madvise(data_, probed_bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    ~ProbedMemory() { munmap(data_, probed_bytes); }
    ProbedMemory(const ProbedMemory&) = delete;
    ProbedMemory& operator=(const ProbedMemory&) = delete;
    std::span<uint64_t> words() const { return {static_cast<uint64_t*>(data_), probed_bytes / sizeof(uint64_t)}; }

  private:
    void* data_;
};

double best_of_ways(ThreadPool& pool, const ProbedMemory& memory, double seconds) {
    const std::span<uint64_t> words = memory.words();
    pool.for_ranges(words.size(), line_words, [&](size_t begin, size_t end, size_t) {
        std::fill(words.begin() + static_cast<ptrdiff_t>(begin), words.begin() + static_cast<ptrdiff_t>(end),
                  uint64_t{0});
    });
    double best = 0;
    const double start = seconds_now();
    do {
        for (size_t way = 0; way < n_read_ways; ++way) best = std::max(best, read_once(pool, words, way));
    } while (seconds_now() - start < seconds);
    return best;
}

}  // namespace

double read_once(ThreadPool& pool, std::span<const uint64_t> zeroed, size_t way) {
    std::vector<uint64_t> seen(pool.size());
    const double before = seconds_now();
    pool.for_ranges(zeroed.size() / line_words, 64, [&](size_t begin, size_t end, size_t thread) {
        seen[thread] |= ways[way](zeroed.data() + begin * line_words, end - begin);
    });
    const double seconds = seconds_now() - before;
    if (std::any_of(seen.begin(), seen.end(), [](uint64_t word) { return word != 0; }))
        fail(Status::internal, "bandwidth probe: zeroed memory was read as something else");
    return static_cast<double>(zeroed.size_bytes()) / seconds;
}

double read_bandwidth(ThreadPool& pool, double seconds) {
    double best = 0;
    for (const bool huge_pages : {false, true})
        best = std::max(best, best_of_ways(pool, ProbedMemory(huge_pages), seconds / 2));
    return best;
}

}  // namespace gq
