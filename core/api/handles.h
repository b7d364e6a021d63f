// What the opaque handles of gq.h hold. Included by core/api only.
// In: objects of core/; numbers and names that callers pass. Out: structs whose names gq.h declares, checked values.
// Must not know what the functions of gq.h do with them.
#pragma once

#include <memory>
#include <optional>

#include "core/api/gq.h"
#include "core/base/threads.h"
#include "core/model/loaded_model.h"
#include "core/runtime/session.h"

struct gq_model {
    std::unique_ptr<gq::LoadedModel> loaded;  // null when only a tokenizer was opened
    std::optional<gq::Tokenizer> tokenizer;   // then it is here

    const gq::Tokenizer& text() const { return loaded ? loaded->tokenizer : *tokenizer; }
};

struct gq_session {
    const gq_model* model;
    gq::ThreadPool pool;
    const gq::KernelTable* kernels;
    gq::SessionOptions options;
    gq::Session session;

    gq_session(const gq_model* owner, size_t n_threads, const gq::KernelTable& table, const gq::SessionOptions& chosen)
        : model(owner),
          pool(n_threads),
          kernels(&table),
          options(chosen),
          session(owner->loaded->model, {pool, table}, chosen) {}
};

namespace gq {

// Checked conversions of what callers pass.
const LoadedModel& loaded_of(const gq_model* model);
size_t threads_of(int32_t n_threads);
const KernelTable& kernels_of(const char* isa);

}  // namespace gq
