// Models, text and sessions of gq.h: checks arguments, calls, turns errors into numbers. Generating, quantizing and
// describing have their own files.
#include "core/api/gq.h"

#include <cstring>

#include "core/api/boundary.h"
#include "core/api/handles.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "core/kernels/activation_modes.h"

static_assert(std::string_view(gq::version_text) == "0.1.0" && GQ_VERSION_MAJOR == 0 && GQ_VERSION_MINOR == 1 &&
              GQ_VERSION_PATCH == 0);
// Log levels are cast as they are.
static_assert(static_cast<int>(gq::LogLevel::debug) == GQ_LOG_DEBUG &&
              static_cast<int>(gq::LogLevel::info) == GQ_LOG_INFO &&
              static_cast<int>(gq::LogLevel::warning) == GQ_LOG_WARNING &&
              static_cast<int>(gq::LogLevel::error) == GQ_LOG_ERROR);

namespace gq {

const LoadedModel& loaded_of(const gq_model* model) {
    require(model, "model");
    if (!model->loaded) fail(Status::invalid_argument, "model: a .gq expected, found a tokenizer without weights");
    return *model->loaded;
}

size_t threads_of(int32_t n_threads) {
    if (n_threads < 0 || n_threads > 1024)
        fail(Status::invalid_argument, "n_threads: expected 0 … 1024, found %d", n_threads);
    return n_threads == 0 ? default_thread_count() : static_cast<size_t>(n_threads);
}

const KernelTable& kernels_of(const char* isa) {
    return kernel_table(isa ? isa : "");
}

namespace {

SessionOptions session_options(const gq_session_options& from) {
    const auto check = [](const char* name, int value, int most) {
        if (value < 0 || value > most)
            fail(Status::invalid_argument, "%s: expected a whole number of 0 … %d, found %d", name, most, value);
    };
    check("context", from.context, INT32_MAX);
    check("max_rows", from.max_rows, 65536);
    SessionOptions to;
    to.context = static_cast<size_t>(from.context);
    if (from.max_rows > 0) to.max_rows = static_cast<size_t>(from.max_rows);
    if (from.cache_type_k) to.k_type = &find_kv_type(from.cache_type_k, "cache_type_k");
    if (from.cache_type_v) to.v_type = &find_kv_type(from.cache_type_v, "cache_type_v");
    if (from.activations) to.precision = find_activation_mode(from.activations).precision;
    return to;
}

gq_session_options session_defaults() {
    gq_session_options options;
    gq_session_defaults(&options);
    return options;
}

}  // namespace
}  // namespace gq

using gq::fail;
using gq::guarded;
using gq::require;
using gq::Status;

extern "C" {

const char* gq_status_name(int32_t status) {
    static constexpr const char* names[] = {"GQ_OK",      "GQ_INVALID_ARGUMENT", "GQ_BAD_FILE",        "GQ_UNSUPPORTED",
                                            "GQ_IO",      "GQ_OUT_OF_MEMORY",    "GQ_CONTEXT_FULL",    "GQ_CANCELLED",
                                            "GQ_NUMERIC", "GQ_INTERNAL",         "GQ_BUFFER_TOO_SMALL"};
    const size_t index = static_cast<size_t>(status);
    return index < std::size(names) ? names[index] : "unknown status";
}

const char* gq_version(void) {
    return gq::version_text;
}

void gq_set_log_callback(gq_log_callback callback, void* user) {
    static gq_log_callback target = nullptr;
    target = callback;
    if (!callback) return gq::set_log_sink(nullptr, nullptr);
    gq::set_log_sink([](gq::LogLevel level, const char* message,
                        void* data) { target(static_cast<gq_log_level>(level), message, data); },
                     user);
}

int32_t gq_default_threads(void) {
    int32_t n = 1;  // where the machine can't be asked
    guarded([&] {
        n = static_cast<int32_t>(gq::default_thread_count());
        return GQ_OK;
    });
    return n;
}

void gq_model_defaults(gq_model_options* options) {
    if (options) *options = {.struct_size = sizeof *options, .verify = 0, .no_mmap = 0, .mlock = 0};
}

gq_status gq_model_open(const char* path, const gq_model_options* options, gq_model** model) {
    return guarded([&] {
        require(path, "path");
        require(model, "model");
        const gq_model_options o =
            gq::options_or_defaults(options, {sizeof(gq_model_options), 0, 0, 0}, "gq_model_options");
        auto opened = std::make_unique<gq_model>();
        opened->loaded = gq::LoadedModel::open(
            path, o.verify != 0, o.no_mmap ? gq::FileMemory::copied : gq::FileMemory::mapped, o.mlock != 0);
        *model = opened.release();
        return GQ_OK;
    });
}

void gq_model_free(gq_model* model) {
    delete model;
}

gq_status gq_model_get_info(const gq_model* model, gq_model_info* info) {
    return guarded([&] {
        const gq::LoadedModel& loaded = gq::loaded_of(model);
        require(info, "info");
        gq::options_or_defaults(info, {}, "gq_model_info");
        const gq::HyperParams& params = loaded.model.params;
        *info = {.struct_size = sizeof *info,
                 .architecture = params.arch.c_str(),
                 .file_bytes = loaded.file.file_bytes(),
                 .n_weights = loaded.n_weights(),
                 .streamed_bytes = loaded.streamed_bytes(),
                 .n_layers = static_cast<int32_t>(params.n_layers),
                 .vocab_size = static_cast<int32_t>(params.vocab),
                 .context_length = static_cast<int32_t>(params.context),
                 .has_chat_template = loaded.chat_template ? 1 : 0,
                 .most_positions = static_cast<int32_t>(loaded.model.network.most_positions)};
        return GQ_OK;
    });
}

gq_status gq_tokenize(const gq_model* model, const char* text, size_t text_bytes, int32_t add_special,
                      int32_t parse_special, int32_t* tokens, size_t* n_tokens) {
    return guarded([&] {
        require(model, "model");
        require(n_tokens, "n_tokens");
        if (text_bytes > 0) require(text, "text");
        const std::string_view words(text_bytes > 0 ? text : "", text_bytes);
        gq::require_utf8(words, "text");
        const size_t capacity = tokens ? *n_tokens : 0;
        const std::vector<int32_t> ids = model->text().encode(words, {add_special != 0, parse_special != 0});
        *n_tokens = ids.size();
        if (ids.size() > capacity)
            return gq::remember_error(GQ_BUFFER_TOO_SMALL, "tokens: too small; the count needed was returned");
        if (!ids.empty()) std::memcpy(tokens, ids.data(), ids.size() * sizeof(int32_t));
        return GQ_OK;
    });
}

gq_status gq_detokenize(const gq_model* model, const int32_t* tokens, size_t n_tokens, int32_t skip_special,
                        char* buffer, size_t* size) {
    return guarded([&] {
        require(model, "model");
        if (n_tokens > 0) require(tokens, "tokens");
        const size_t vocab = model->text().vocab_size();
        for (size_t i = 0; i < n_tokens; ++i)
            if (tokens[i] < 0 || static_cast<size_t>(tokens[i]) >= vocab)
                fail(Status::invalid_argument, "tokens[%zu]: expected 0 … %zu, found %d", i, vocab - 1, tokens[i]);
        return gq::copy_out(model->text().decode({tokens, n_tokens}, skip_special != 0), buffer, size);
    });
}

gq_status gq_chat_render(const gq_model* model, const gq_chat_message* messages, size_t n_messages,
                         int32_t add_generation_prompt, char* buffer, size_t* size) {
    return guarded([&] {
        const gq::LoadedModel& loaded = gq::loaded_of(model);
        if (n_messages > 0) require(messages, "messages");
        std::vector<gq::ChatMessage> list;
        for (size_t i = 0; i < n_messages; ++i) {
            const std::string which = "messages[" + std::to_string(i) + "]";
            require(messages[i].role, (which + ".role").c_str());
            require(messages[i].content, (which + ".content").c_str());
            gq::require_utf8(messages[i].role, which + ".role");
            gq::require_utf8(messages[i].content, which + ".content");
            list.push_back({messages[i].role, messages[i].content});
        }
        return gq::copy_out(loaded.render_chat(list, add_generation_prompt != 0), buffer, size);
    });
}

void gq_session_defaults(gq_session_options* options) {
    if (options)
        *options = {.struct_size = sizeof *options,
                    .context = 0,
                    .n_threads = 0,
                    .max_rows = 0,
                    .activations = nullptr,
                    .isa = nullptr,
                    .cache_type_k = nullptr,
                    .cache_type_v = nullptr};
}

gq_status gq_memory_needed(const gq_model* model, const gq_session_options* options, uint64_t* bytes) {
    return guarded([&] {
        const gq::LoadedModel& loaded = gq::loaded_of(model);
        require(bytes, "bytes");
        const gq_session_options o = gq::options_or_defaults(options, gq::session_defaults(), "gq_session_options");
        gq::kernels_of(o.isa);  // refuses what gq_session_create() would refuse
        *bytes = gq::Session::bytes_needed(loaded.model, gq::session_options(o), gq::threads_of(o.n_threads));
        return GQ_OK;
    });
}

gq_status gq_session_create(const gq_model* model, const gq_session_options* options, gq_session** session) {
    return guarded([&] {
        gq::loaded_of(model);
        require(session, "session");
        const gq_session_options o = gq::options_or_defaults(options, gq::session_defaults(), "gq_session_options");
        *session = new gq_session(model, gq::threads_of(o.n_threads), gq::kernels_of(o.isa), gq::session_options(o));
        return GQ_OK;
    });
}

void gq_session_free(gq_session* session) {
    delete session;
}

const char* gq_session_isa(const gq_session* session) {
    return session ? session->kernels->isa : nullptr;
}

int32_t gq_session_threads(const gq_session* session) {
    return session ? static_cast<int32_t>(session->pool.size()) : 0;
}

gq_status gq_session_set_cancel(gq_session* session, gq_cancel_callback cancel, void* user) {
    return guarded([&] {
        require(session, "session");
        session->session.set_cancel(cancel ? [=] { return cancel(user) != 0; } : std::function<bool()>());
        return GQ_OK;
    });
}

gq_status gq_decode(gq_session* session, const gq_batch_row* rows, size_t n_rows) {
    return guarded([&] {
        require(session, "session");
        if (n_rows > 0) require(rows, "rows");
        std::vector<gq::BatchRow> batch;
        for (size_t i = 0; i < n_rows; ++i)
            batch.push_back({rows[i].sequence, rows[i].position, rows[i].token, rows[i].want_logits != 0});
        session->session.decode(batch);
        return GQ_OK;
    });
}

gq_status gq_logits(const gq_session* session, size_t index, const float** logits) {
    return guarded([&] {
        require(session, "session");
        require(logits, "logits");
        *logits = session->session.logits(index).data();
        return GQ_OK;
    });
}

size_t gq_sequence_length(const gq_session* session, uint32_t sequence) {
    return session ? session->session.length(sequence) : 0;
}

gq_status gq_sequence_truncate(gq_session* session, uint32_t sequence, size_t n_positions) {
    return guarded([&] {
        require(session, "session");
        session->session.truncate(sequence, n_positions);
        return GQ_OK;
    });
}

gq_status gq_sequence_fork(gq_session* session, uint32_t from, uint32_t to) {
    return guarded([&] {
        require(session, "session");
        session->session.fork(from, to);
        return GQ_OK;
    });
}

}  // extern "C"
