// What computing code is handed: threads, and who performs each operation.
// In: two objects that outlive every copy of this pair. Out: nothing of its own.
// Must not know what is computed.
#pragma once

#include "core/base/threads.h"
#include "core/kernels/kernels.h"

namespace gq {

struct Compute {
    ThreadPool& pool;
    const KernelTable& kernels;
};

}  // namespace gq
