// What memory a test takes. In: nothing. Out: bytes that the heap has given out, but for what AlignedBuffer maps by
// itself (large_bytes and more); 0 under a sanitizer, whose heap does not tell. Must not know what they are for.
#pragma once

#include <malloc.h>

#include <cstddef>

namespace gq::test {

inline size_t heap_bytes() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

}  // namespace gq::test
