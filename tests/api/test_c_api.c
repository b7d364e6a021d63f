/* gq.h from C99: every function once with good arguments and once with bad ones. In: a checkpoint folder and a path to
 * write a .gq to. Counts and prints failures; exit 1 if there are any. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/gq.h"

static int failures = 0, checks = 0;

static void expect(int holds, const char* what, int line) {
    ++checks;
    if (holds) return;
    ++failures;
    fprintf(stderr, "test_c_api.c:%d: %s (last error: %s)\n", line, what, gq_last_error());
}
#define EXPECT(condition) expect((condition) != 0, #condition, __LINE__)

static int32_t count_progress(const gq_quantize_progress* progress, void* user) {
    if (progress->tensor) ++*(int*)user;
    return 0;
}

typedef struct Log {
    int messages;
    gq_log_level level;
} Log;

static void keep_log(gq_log_level level, const char* message, void* user) {
    Log* log = user;
    log->messages += message[0] != '\0';
    log->level = level;
}

/* A sound model gives no reason for a warning; what a model with one says is held by test_tools.sh. */
static void test_log(const char* source, const char* output) {
    gq_quantize_options options;
    Log log = {0, GQ_LOG_DEBUG};
    gq_quantize_defaults(&options);
    options.method = GQ_METHOD_RTN;
    gq_set_log_callback(keep_log, &log);
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_OK);
    EXPECT(log.messages == 0 || log.level <= GQ_LOG_INFO);
    gq_set_log_callback(NULL, NULL);
}

static int32_t cancel_at_once(const gq_quantize_progress* progress, void* user) {
    (void)progress;
    (void)user;
    return 1;
}

static int exists(const char* path) {
    FILE* file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

static void test_quantize(const char* source, const char* output) {
    gq_quantize_options options;
    int tensors = 0;
    remove(output);
    gq_quantize_defaults(&options);
    EXPECT(options.bits == 0 && options.group == 128 && !options.order && options.damping == 0.01 &&
           options.embed_bits == 0 && options.judged_windows == GQ_BY_RECIPE && options.true_sequential == 1);
    options.judged_windows = -1;
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "judged_windows") != NULL);
    options.judged_windows = GQ_BY_RECIPE;
    options.calibration_windows = 4;
    options.calibration_window = 64;
    EXPECT(gq_quantize(source, output, &options, cancel_at_once, NULL) == GQ_CANCELLED);
    EXPECT(!exists(output));
    EXPECT(gq_quantize(source, output, &options, count_progress, &tensors) == GQ_OK);
    EXPECT(tensors == 3 + 2 * 9); /* embedding, last norm and what turns the head back, then two blocks */
    options.bits = 7;
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "bits") != NULL);
    gq_quantize_defaults(&options);
    options.struct_size = 3;
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    gq_quantize_defaults(&options);
    options.calibration_path = "";
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    options.calibration_path = NULL;
    options.report_path = "";
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    options.report_path = NULL;
    options.method = GQ_METHOD_RTN; /* calibrates with nothing */
    options.calibration_path = "/nowhere";
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    gq_quantize_defaults(&options);
    options.bits = 4;
    options.target_bytes = 90000; /* with bits of its own */
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "target") != NULL);
    options.bits = 0;
    options.target_bytes = 1000;
    options.calibration_windows = 2;
    options.calibration_window = 32;
    EXPECT(gq_quantize(source, output, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "at least") != NULL);
    options.bits = 4;
    options.target_bytes = 0;
    EXPECT(gq_measure_sensitivity(source, &options, cancel_at_once, NULL) == GQ_CANCELLED);
    EXPECT(gq_measure_sensitivity(NULL, &options, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_quantize(NULL, output, NULL, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_quantize("/nowhere", output, NULL, NULL, NULL) == GQ_IO);
    EXPECT(exists(output)); /* failed runs left the good file alone */
}

static void test_text(const gq_model* model) {
    int32_t tokens[64];
    size_t n = 64, size;
    char buffer[128];
    const gq_chat_message message = {"user", "hi"}, headless = {NULL, "hi"}, broken = {"user", "a\xff"};
    EXPECT(gq_tokenize(model, "hello", 5, 1, 1, tokens, &n) == GQ_OK);
    EXPECT(n == 5 && tokens[0] == 'h'); /* the tiny tokenizer's ids are bytes */
    n = 2;
    EXPECT(gq_tokenize(model, "hello", 5, 1, 1, tokens, &n) == GQ_BUFFER_TOO_SMALL && n == 5);
    EXPECT(gq_tokenize(model, NULL, 5, 1, 1, tokens, &n) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_tokenize(NULL, "x", 1, 1, 1, tokens, &n) == GQ_INVALID_ARGUMENT);
    size = sizeof buffer;
    EXPECT(gq_detokenize(model, tokens, 5, 1, buffer, &size) == GQ_OK && size == 5 && strcmp(buffer, "hello") == 0);
    size = 0;
    EXPECT(gq_detokenize(model, tokens, 5, 1, NULL, &size) == GQ_BUFFER_TOO_SMALL && size == 5);
    tokens[0] = -1;
    EXPECT(gq_detokenize(model, tokens, 1, 1, buffer, &size) == GQ_INVALID_ARGUMENT);
    size = sizeof buffer;
    EXPECT(gq_chat_render(model, &message, 1, 1, buffer, &size) == GQ_OK);
    EXPECT(strcmp(buffer, "<s>user: hi</s><s>assistant: ") == 0);
    size = 3;
    EXPECT(gq_chat_render(model, &message, 1, 1, buffer, &size) == GQ_BUFFER_TOO_SMALL && size == 29);
    EXPECT(gq_chat_render(model, NULL, 1, 1, buffer, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_chat_render(NULL, &message, 1, 1, buffer, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_chat_render(model, &message, 1, 1, buffer, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_chat_render(model, &headless, 1, 1, buffer, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "messages[0].role") != NULL);
    EXPECT(gq_chat_render(model, &broken, 1, 1, buffer, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "messages[0].content: expected UTF-8, found byte 0xFF at offset 1") != NULL);
    n = 64;
    EXPECT(gq_tokenize(model, "ok\xe2\x82", 4, 1, 1, tokens, &n) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "expected UTF-8, found byte 0xE2 at offset 2") != NULL);
    EXPECT(gq_tokenize(model, "\xe2\x82\xac", 3, 1, 1, tokens, &n) == GQ_OK && n > 0);
    tokens[0] = 0xe2; /* ids are bytes: half a character is fine on its way out */
    size = sizeof buffer;
    EXPECT(gq_detokenize(model, tokens, 1, 1, buffer, &size) == GQ_OK);
}

static void test_defaults(const gq_model* model) {
    gq_model_options mo;
    gq_model_info info;
    gq_generate_options go;
    gq_model* none = NULL;
    gq_model_defaults(&mo);
    EXPECT(mo.struct_size == sizeof mo && mo.verify == 0);
    gq_model_defaults(NULL);
    gq_session_defaults(NULL);
    gq_quantize_defaults(NULL);
    gq_generate_defaults(model, NULL);
    gq_generate_defaults(NULL, &go);
    EXPECT(go.struct_size == sizeof go && go.top_k == 40);
    mo.struct_size = 1;
    EXPECT(gq_model_open("x", &mo, &none) == GQ_INVALID_ARGUMENT && none == NULL);
    EXPECT(gq_model_open(NULL, NULL, &none) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_model_open("x", NULL, NULL) == GQ_INVALID_ARGUMENT);
    info.struct_size = 1;
    EXPECT(gq_model_get_info(model, &info) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_model_get_info(model, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(strcmp(gq_status_name((gq_status)99), "unknown status") == 0);
}

static int32_t count_down(void* user) {
    return --*(int*)user < 0;
}

static void test_cancel(gq_session* session) {
    gq_batch_row row = {7, 0, 65, 1};
    const float* logits = NULL;
    int stages = 2;
    EXPECT(gq_session_set_cancel(session, count_down, &stages) == GQ_OK);
    EXPECT(gq_decode(session, &row, 1) == GQ_CANCELLED && gq_sequence_length(session, 7) == 0);
    EXPECT(gq_logits(session, 0, &logits) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_generate(session, 7, &row.token, 1, NULL, NULL, NULL, NULL) == GQ_CANCELLED);
    EXPECT(gq_sequence_length(session, 7) == 0);
    EXPECT(gq_session_set_cancel(session, NULL, NULL) == GQ_OK);
    EXPECT(gq_decode(session, &row, 1) == GQ_OK && gq_sequence_length(session, 7) == 1);
    EXPECT(gq_sequence_truncate(session, 7, 0) == GQ_OK && gq_sequence_length(session, 7) == 0);
    EXPECT(gq_session_set_cancel(NULL, NULL, NULL) == GQ_INVALID_ARGUMENT);
}

static void test_decode(const gq_model* model) {
    gq_session_options options;
    gq_session* session = NULL;
    gq_batch_row rows[3] = {{1, 0, 65, 0}, {1, 1, 66, 1}, {2, 0, 65, 1}};
    const float *a = NULL, *b = NULL;
    uint64_t bytes = 0, bytes_q = 0;
    gq_session_defaults(&options);
    options.context = 256; /* pages of 64 positions: room for four sequences */
    options.n_threads = 2;
    EXPECT(gq_memory_needed(model, &options, &bytes) == GQ_OK && bytes > 0);
    EXPECT(gq_session_create(model, &options, &session) == GQ_OK);
    EXPECT(gq_session_threads(session) == 2 && gq_session_isa(session) != NULL);
    EXPECT(gq_decode(session, rows, 3) == GQ_OK);
    EXPECT(gq_logits(session, 0, &a) == GQ_OK && gq_logits(session, 1, &b) == GQ_OK && isfinite(a[0]) &&
           isfinite(b[0]));
    EXPECT(gq_logits(session, 2, &a) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_sequence_length(session, 1) == 2 && gq_sequence_length(session, 2) == 1);
    EXPECT(gq_decode(session, rows, 1) == GQ_INVALID_ARGUMENT); /* position 0 is taken */
    EXPECT(gq_logits(session, 0, &a) == GQ_INVALID_ARGUMENT);   /* those of the call before are gone */
    EXPECT(gq_sequence_fork(session, 1, 3) == GQ_OK && gq_sequence_length(session, 3) == 2);
    EXPECT(gq_sequence_truncate(session, 3, 1) == GQ_OK && gq_sequence_length(session, 3) == 1);
    rows[0].sequence = 9;
    rows[0].token = 100000;
    EXPECT(gq_decode(session, rows, 1) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_decode(session, NULL, 1) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_logits(NULL, 0, &a) == GQ_INVALID_ARGUMENT && gq_logits(session, 0, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_sequence_fork(session, 99, 3) == GQ_OK && gq_sequence_length(session, 3) == 0);
    EXPECT(gq_sequence_fork(NULL, 1, 2) == GQ_INVALID_ARGUMENT &&
           gq_sequence_truncate(NULL, 1, 0) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_sequence_length(NULL, 1) == 0 && gq_session_isa(NULL) == NULL && gq_session_threads(NULL) == 0);
    test_cancel(session);
    gq_session_free(session);
    EXPECT(gq_memory_needed(model, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_memory_needed(NULL, NULL, &bytes) == GQ_INVALID_ARGUMENT);
    options.max_rows = -1;
    EXPECT(gq_memory_needed(model, &options, &bytes) == GQ_INVALID_ARGUMENT);
    options.max_rows = 0;
    options.activations = "no such";
    EXPECT(gq_memory_needed(model, &options, &bytes) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_session_create(model, &options, &session) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "block, token, group, token-asym, group-asym, exact") != NULL);
    options.activations = "group-asym";
    EXPECT(gq_memory_needed(model, &options, &bytes) == GQ_OK);
    options.activations = NULL;
    options.cache_type_k = "q8";
    options.cache_type_v = "q4";
    EXPECT(gq_memory_needed(model, &options, &bytes_q) == GQ_OK && bytes_q < bytes);
    options.cache_type_v = "no such";
    EXPECT(gq_session_create(model, &options, &session) == GQ_INVALID_ARGUMENT);
    EXPECT(strstr(gq_last_error(), "cache_type_v: expected one of f16, f32, q4, q8, found 'no such'") != NULL);
    options.cache_type_v = NULL;
    options.isa = "no such";
    EXPECT(gq_memory_needed(model, &options, &bytes) == GQ_UNSUPPORTED);
    EXPECT(gq_session_create(model, &options, &session) == GQ_UNSUPPORTED);
    gq_session_free(NULL);
}

typedef struct Collected {
    char text[256];
    size_t size;
    int stop_after;
} Collected;

static int32_t collect(const char* text, size_t size, int32_t token, void* user) {
    Collected* all = user;
    (void)token;
    if (all->size + size < sizeof all->text) memcpy(all->text + all->size, text, size);
    all->size += size;
    return --all->stop_after == 0;
}

static void test_generate(const gq_model* model) {
    gq_session_options so;
    gq_session* session = NULL;
    gq_generate_options options;
    gq_generate_result result;
    Collected all = {"", 0, 1000};
    int32_t prompt[200] = {65, 66, 67};
    gq_session_defaults(&so);
    so.context = 192;
    EXPECT(gq_session_create(model, &so, &session) == GQ_OK);
    gq_generate_defaults(model, &options);
    options.temperature = 0;
    options.max_tokens = 5;
    options.ignore_stop = 1;
    result.struct_size = sizeof result;
    EXPECT(gq_generate(session, 0, prompt, 3, &options, collect, &all, &result) == GQ_OK);
    EXPECT(result.finish_reason == GQ_FINISH_LENGTH && result.n_prompt_tokens == 3 && result.n_generated_tokens == 5);
    all.stop_after = 2;
    EXPECT(gq_generate(session, 1, prompt, 3, &options, collect, &all, &result) == GQ_OK &&
           result.finish_reason == GQ_FINISH_CALLBACK);
    options.max_tokens = 0;
    /* the third sequence fills the one page that the other two have left */
    EXPECT(gq_generate(session, 2, prompt, 3, &options, NULL, NULL, &result) == GQ_OK &&
           result.finish_reason == GQ_FINISH_CONTEXT);
    EXPECT(gq_sequence_length(session, 2) == 64);
    EXPECT(gq_generate(session, 3, prompt, 200, &options, NULL, NULL, NULL) == GQ_CONTEXT_FULL);
    EXPECT(gq_sequence_length(session, 3) == 0);
    options.top_p = -1;
    EXPECT(gq_generate(session, 4, prompt, 3, &options, NULL, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_generate(session, 4, prompt, 0, NULL, NULL, NULL, NULL) == GQ_INVALID_ARGUMENT);
    gq_session_free(session);
}

static void test_describe(const char* source, const char* packed) {
    size_t size = 0;
    char* text;
    gq_model* tokenizer = NULL;
    EXPECT(gq_describe(packed, GQ_DESCRIBE_JSON, 1, NULL, &size) == GQ_BUFFER_TOO_SMALL);
    text = malloc(size + 1);
    ++size;
    EXPECT(text && gq_describe(packed, GQ_DESCRIBE_JSON, 0, text, &size) == GQ_OK &&
           strstr(text, "\"provenance\"") != NULL);
    free(text);
    EXPECT(gq_tokenizer_open(source, &tokenizer) == GQ_OK);
    EXPECT(gq_session_create(tokenizer, NULL, NULL) == GQ_INVALID_ARGUMENT);
    gq_model_free(tokenizer);
    tokenizer = NULL;
    EXPECT(gq_tokenizer_open("/nowhere", &tokenizer) == GQ_IO && tokenizer == NULL);
    EXPECT(gq_report_html(packed, NULL, NULL, &size) == GQ_BUFFER_TOO_SMALL && size > 1000);
    EXPECT(gq_report_html(packed, "{\"ppl\": 7.5}", NULL, &size) == GQ_BUFFER_TOO_SMALL);
    EXPECT(gq_report_html(packed, "{\"ppl\": null}", NULL, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_report_html(packed, "{", NULL, &size) == GQ_BAD_FILE && strstr(gq_last_error(), "figures"));
    EXPECT(gq_report_html(source, NULL, NULL, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_report_html(NULL, NULL, NULL, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_describe(source, GQ_DESCRIBE_TEXT, 1, NULL, &size) == GQ_INVALID_ARGUMENT); /* no hashes to compare */
    EXPECT(gq_describe(packed, 77, 0, NULL, &size) == GQ_INVALID_ARGUMENT && strstr(gq_last_error(), "found 77"));
    EXPECT(gq_describe("/nowhere", GQ_DESCRIBE_TEXT, 0, NULL, &size) == GQ_IO);
    EXPECT(gq_describe(packed, 2, 0, NULL, &size) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_describe(NULL, GQ_DESCRIBE_TEXT, 0, NULL, &size) == GQ_INVALID_ARGUMENT);
}

static int32_t stop_at_third(const gq_kernel_rate* rate, void* user) {
    int* rows = user;
    EXPECT(rate->operation && rate->kernel && rate->isa && rate->unit);
    EXPECT(!rate->can_run || (rate->rate > 0 && rate->scalar > 0));
    return ++*rows == 3;
}

static void test_bench(void) {
    gq_limits limits;
    int rows = 0;
    limits.struct_size = sizeof limits;
    EXPECT(gq_probe_limits(NULL, 1, 0, &limits) == GQ_OK && limits.read_bytes > 0 && limits.isa != NULL);
    EXPECT(strcmp(limits.isa, "scalar") == 0 ? limits.int8_ops == 0 && limits.f32_ops == 0
                                             : limits.int8_ops > 0 && limits.f32_ops > 0);
    EXPECT(gq_probe_limits(NULL, -1, 0, &limits) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_probe_limits(NULL, 1, -1, &limits) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_probe_limits("no such", 1, 0, &limits) == GQ_UNSUPPORTED);
    EXPECT(gq_probe_limits(NULL, 1, 0, NULL) == GQ_INVALID_ARGUMENT);
    limits.struct_size = 1;
    EXPECT(gq_probe_limits(NULL, 1, 0, &limits) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_bench_kernels(0, NULL, NULL) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_bench_kernels(61, stop_at_third, &rows) == GQ_INVALID_ARGUMENT && rows == 0);
    EXPECT(gq_bench_kernels(0, stop_at_third, &rows) == (rows == 3 ? GQ_CANCELLED : GQ_OK));
}

static void test_token_cost(const gq_session* session) {
    gq_token_cost inner, last;
    inner.struct_size = last.struct_size = sizeof inner;
    EXPECT(gq_session_token_cost(session, 0, 0, &inner) == GQ_OK &&
           gq_session_token_cost(session, 9, 1, &last) == GQ_OK);
    EXPECT(last.kv_bytes == 10 * inner.kv_bytes && inner.kv_bytes > 0);
    EXPECT(last.int8_macs > inner.int8_macs && inner.int8_macs > 0 && inner.f32_macs == 0);
    EXPECT(gq_session_token_cost(NULL, 0, 0, &inner) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_session_token_cost(session, SIZE_MAX, 0, &inner) == GQ_INVALID_ARGUMENT);
    EXPECT(gq_session_token_cost(session, 0, 0, NULL) == GQ_INVALID_ARGUMENT);
    inner.struct_size = 1;
    EXPECT(gq_session_token_cost(session, 0, 0, &inner) == GQ_INVALID_ARGUMENT);
}

/* Where the file's bytes stand changes nothing that is computed from them. */
static void test_memory(const char* packed, const gq_model* mapped) {
    gq_model_options options;
    gq_model* model = NULL;
    gq_session *a = NULL, *b = NULL;
    gq_batch_row row = {0, 0, 65, 1};
    const float *x = NULL, *y = NULL;
    gq_model_defaults(&options);
    EXPECT(options.no_mmap == 0 && options.mlock == 0);
    options.no_mmap = options.mlock = options.verify = 1;
    EXPECT(gq_model_open("/nowhere.gq", &options, &model) == GQ_IO && model == NULL);
    EXPECT(gq_model_open(packed, &options, &model) == GQ_OK);
    EXPECT(gq_session_create(model, NULL, &a) == GQ_OK && gq_session_create(mapped, NULL, &b) == GQ_OK);
    EXPECT(gq_decode(a, &row, 1) == GQ_OK && gq_decode(b, &row, 1) == GQ_OK);
    EXPECT(gq_logits(a, 0, &x) == GQ_OK && gq_logits(b, 0, &y) == GQ_OK && memcmp(x, y, 288 * sizeof *x) == 0);
    test_token_cost(a);
    gq_session_free(a);
    gq_session_free(b);
    gq_model_free(model);
}

int main(int argc, char** argv) {
    gq_model* model = NULL;
    gq_model_info info;
    if (argc != 3) {
        fprintf(stderr, "usage: test_c_api CHECKPOINT OUT.gq\n");
        return 1;
    }
    EXPECT(strcmp(gq_version(), "0.1.0") == 0 && strcmp(gq_status_name(GQ_BAD_FILE), "GQ_BAD_FILE") == 0 &&
           gq_default_threads() >= 1);
    test_log(argv[1], argv[2]);
    test_quantize(argv[1], argv[2]);
    EXPECT(gq_model_open("/nowhere.gq", NULL, &model) == GQ_IO && model == NULL);
    EXPECT(gq_model_open(argv[2], NULL, &model) == GQ_OK);
    info.struct_size = sizeof info;
    EXPECT(gq_model_get_info(model, &info) == GQ_OK && strcmp(info.architecture, "llama") == 0 &&
           info.vocab_size == 288 && info.n_layers == 2);
    test_text(model);
    test_defaults(model);
    test_decode(model);
    test_generate(model);
    test_describe(argv[1], argv[2]);
    test_memory(argv[2], model);
    test_bench();
    gq_model_free(model);
    gq_model_free(NULL);
    printf("c api: %d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
