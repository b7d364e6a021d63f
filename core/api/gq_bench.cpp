// The part of gq.h that only measures: the machine's limits, a token's cost, the walk over the kernels.
// In: checked arguments. Out: figures. Must not know who prints them.
#include "core/api/boundary.h"
#include "core/api/handles.h"
#include "core/kernels/kernel_rates.h"
#include "core/kernels/peak.h"
#include "core/kernels/read_bandwidth.h"
#include "core/runtime/token_cost.h"

namespace gq {
namespace {

void check_seconds(double seconds) {
    if (!(seconds >= 0 && seconds <= 60)) fail(Status::invalid_argument, "seconds: expected 0 … 60, found %g", seconds);
}

gq_kernel_rate row_of(const KernelRate& rate) {
    return {.operation = rate.operation,
            .kernel = rate.variant,
            .isa = rate.isa,
            .codes = rate.codes,
            .n_tokens = static_cast<int32_t>(rate.n_tokens),
            .can_run = rate.can_run,
            .unit = rate.unit,
            .rate = rate.rate,
            .scalar = rate.scalar_rate,
            .limit = rate.limit};
}

}  // namespace
}  // namespace gq

using gq::guarded;
using gq::require;

extern "C" {

gq_status gq_probe_limits(const char* isa, int32_t n_threads, double seconds, gq_limits* limits) {
    return guarded([&] {
        require(limits, "limits");
        gq::options_or_defaults(limits, {}, "gq_limits");
        gq::check_seconds(seconds);
        gq::ThreadPool pool(gq::threads_of(n_threads));
        const gq::Compute compute{pool, gq::kernels_of(isa)};
        const gq::Peaks peaks = gq::arithmetic_peaks(compute, seconds / 4);
        *limits = {.struct_size = sizeof *limits,
                   .isa = compute.kernels.isa,
                   .read_bytes = gq::read_bandwidth(pool, seconds * 3 / 4),
                   .int8_ops = peaks.int8,
                   .f32_ops = peaks.f32};
        return GQ_OK;
    });
}

gq_status gq_session_token_cost(const gq_session* session, size_t position, int32_t want_logits, gq_token_cost* cost) {
    return guarded([&] {
        require(session, "session");
        require(cost, "cost");
        gq::options_or_defaults(cost, {}, "gq_token_cost");
        const size_t context = session->session.context();
        if (position >= context)
            gq::fail(gq::Status::invalid_argument, "position: expected 0 … %zu, the session's context, found %zu",
                     context - 1, position);
        const gq::TokenCost found =
            gq::token_cost(session->model->loaded->model, session->options, position, want_logits != 0);
        *cost = {.struct_size = sizeof *cost,
                 .kv_bytes = found.kv_bytes,
                 .int8_macs = found.int8_macs,
                 .f32_macs = found.f32_macs};
        return GQ_OK;
    });
}

gq_status gq_bench_kernels(double seconds, gq_kernel_callback callback, void* user) {
    return guarded([&] {
        if (!callback) gq::fail(gq::Status::invalid_argument, "callback: expected a function, found NULL");
        gq::check_seconds(seconds);
        bool stopped = false;
        gq::measure_kernels(seconds, [&](const gq::KernelRate& rate) {
            const gq_kernel_rate row = gq::row_of(rate);
            stopped = callback(&row, user) != 0;
            return !stopped;
        });
        return stopped ? gq::remember_error(GQ_CANCELLED, "kernels: stopped by the callback") : GQ_OK;
    });
}

}  // extern "C"
