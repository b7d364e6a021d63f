/* gq: quantized language models in one .gq file. The only public header of libgq; C99, and C++ by extern "C".
 *
 * Rules that hold for every function:
 *   - Handles are opaque. A handle is made by gq_…_open / _create and given back by gq_…_free; freeing NULL does
 *     nothing.
 *   - Every function that can fail returns gq_status; GQ_OK is 0. gq_last_error() then tells what was expected, found
 *     and where (per thread).
 *   - A required pointer that is NULL gives GQ_INVALID_ARGUMENT. Nothing aborts, and no exception leaves the library.
 *   - Options structs begin with struct_size: set it to sizeof the struct, or fill the struct with its
 *     gq_…_defaults(). Unknown sizes are refused.
 *   - Strings are UTF-8. A string given by the library belongs to it unless the function says otherwise.
 *   - The library prints nothing. gq_set_log_callback() tells where messages go.
 *   - Threads: a gq_model may be used by many threads at once; a gq_session by one at a time. Sessions of one model
 *     are independent.
 *   - This is version 0.x: names may still change until 1.0.
 */
#ifndef GQ_H
#define GQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GQ_VERSION_MAJOR 0
#define GQ_VERSION_MINOR 1
#define GQ_VERSION_PATCH 0

#if defined(__GNUC__)
#define GQ_API __attribute__((visibility("default")))
#else
#define GQ_API
#endif

/* ---- status ------------------------------------------------------------------------------------- */

typedef enum gq_status {
    GQ_OK = 0,
    GQ_INVALID_ARGUMENT = 1, /* the caller passed something that can never work */
    GQ_BAD_FILE = 2,         /* a file is truncated, altered or contradicts itself */
    GQ_UNSUPPORTED = 3,      /* well-formed, but nothing this version can do */
    GQ_IO = 4,               /* the operating system refused to read or write */
    GQ_OUT_OF_MEMORY = 5,
    GQ_CONTEXT_FULL = 6,     /* a sequence would grow past the session's context, or past most_positions */
    GQ_CANCELLED = 7,        /* a callback asked to stop */
    GQ_NUMERIC = 8,          /* a computation left the finite numbers */
    GQ_INTERNAL = 9,         /* a defect of gq */
    GQ_BUFFER_TOO_SMALL = 10 /* the size needed is in the size parameter; call again */
} gq_status;

/* "GQ_BAD_FILE"; never NULL. */
GQ_API const char* gq_status_name(int32_t status);
/* The message of this thread's last failed call; valid until its next failing call; never NULL. */
GQ_API const char* gq_last_error(void);
/* "0.1.0", of the library that is running. */
GQ_API const char* gq_version(void);

typedef enum gq_log_level { GQ_LOG_DEBUG = 0, GQ_LOG_INFO = 1, GQ_LOG_WARNING = 2, GQ_LOG_ERROR = 3 } gq_log_level;
typedef void (*gq_log_callback)(gq_log_level level, const char* message, void* user);
/* Process-wide; NULL silences (the default). Set it before other threads use the library. */
GQ_API void gq_set_log_callback(gq_log_callback callback, void* user);

/* Physical cores that affinity and cgroup quota leave to this process; what n_threads = 0 means everywhere. */
GQ_API int32_t gq_default_threads(void);

/* ---- models ------------------------------------------------------------------------------------- */

typedef struct gq_model gq_model;

typedef struct gq_model_options {
    size_t struct_size;
    int32_t verify;  /* non-zero: read the whole file and compare every hash before use */
    int32_t no_mmap; /* non-zero: the file is read into memory instead of being mapped */
    /* Non-zero: the file's bytes are kept in memory, none is ever given back to the system. Where that can't be had the
     * model opens without, and a warning of the log names the limit. */
    int32_t mlock;
} gq_model_options;
GQ_API void gq_model_defaults(gq_model_options* options);

/* Maps a .gq, or reads it (no_mmap). options may be NULL. *model is set on success only, and owned by the caller.
 * GQ_IO: the file can't be read; GQ_BAD_FILE: it is no .gq, truncated, contradicts itself, or (verify) was altered;
 * GQ_UNSUPPORTED: a version, architecture, codes or grid that this library does not know. A chat template is not looked
 * into before gq_chat_render(). */
GQ_API gq_status gq_model_open(const char* path, const gq_model_options* options, gq_model** model);
/* Every session of the model must have been freed before. */
GQ_API void gq_model_free(gq_model* model);

typedef struct gq_model_info {
    size_t struct_size; /* in: sizeof(gq_model_info) */
    const char* architecture;
    uint64_t file_bytes, n_weights;
    uint64_t streamed_bytes;                      /* weight bytes that one decoded token reads */
    int32_t n_layers, vocab_size, context_length; /* context_length: what the model was trained for */
    int32_t has_chat_template;
    int32_t most_positions; /* of one sequence, where the model has a table of them; 0: any number */
} gq_model_info;
/* Strings live as long as the model. GQ_INVALID_ARGUMENT also for a handle of gq_tokenizer_open(). */
GQ_API gq_status gq_model_get_info(const gq_model* model, gq_model_info* info);

/* Functions with `buffer` and `size` write text into the caller's buffer: *size is its capacity before and the size
 * needed after the call (without a terminating NUL; one is added where room is left). buffer may be NULL to ask for the
 * size: the answer is GQ_BUFFER_TOO_SMALL, or GQ_OK for size 0. */

/* ---- text --------------------------------------------------------------------------------------- */

/* Text must be UTF-8: ill-formed bytes give GQ_INVALID_ARGUMENT with the offset and value of the first.
 * parse_special: recognise control tokens in the text. add_special: let the tokenizer add BOS / EOS as it was made to.
 * *n_tokens: capacity before, count after (also with GQ_BUFFER_TOO_SMALL). */
GQ_API gq_status gq_tokenize(const gq_model* model, const char* text, size_t text_bytes, int32_t add_special,
                             int32_t parse_special, int32_t* tokens, size_t* n_tokens);
/* skip_special: leave out control tokens. GQ_INVALID_ARGUMENT: an id outside the vocabulary, by its index. */
GQ_API gq_status gq_detokenize(const gq_model* model, const int32_t* tokens, size_t n_tokens, int32_t skip_special,
                               char* buffer, size_t* size);

typedef struct gq_chat_message {
    const char* role;
    const char* content;
} gq_chat_message;
/* Renders the model's own chat template, ready for gq_tokenize(parse_special = 1, add_special = 0). GQ_UNSUPPORTED when
 * it has none or uses what this version can't interpret, GQ_BAD_FILE when it is broken: the message names line and tag.
 * Roles and contents must be UTF-8. */
GQ_API gq_status gq_chat_render(const gq_model* model, const gq_chat_message* messages, size_t n_messages,
                                int32_t add_generation_prompt, char* buffer, size_t* size);

/* ---- sessions ----------------------------------------------------------------------------------- */

typedef struct gq_session gq_session;

typedef struct gq_session_options {
    size_t struct_size;
    /* Positions of all sequences together, in pages of 64 that each belong to one; 0: the model's context_length. */
    int32_t context;
    int32_t n_threads; /* 0: gq_default_threads() */
    int32_t max_rows;  /* rows computed in one pass; longer batches are cut; 0: 512 */
    /* How integer codes meet activations: "block": int8 with a scale for every 32 inputs; "token", "group": with one
     * for a token, or for each group of the weights; "token-asym", "group-asym": the same, asymmetric, at twice the
     * cost; "exact": f32, slower. NULL: "block". */
    const char* activations;
    const char* isa; /* "scalar", "avx2", "avxvnni", "avx512", "neon", "i8mm"; NULL: GQ_ISA, else the best
                        this CPU runs */
    /* How keys, and values, are kept: "f32", "f16", "q8" (8.5 bits), "q4" (4.5 bits; more of both where a head's
     * dimensions are no multiple of 32). Every type takes heads of any size. NULL: "f16"; another name is
     * GQ_INVALID_ARGUMENT. */
    const char* cache_type_k;
    const char* cache_type_v;
} gq_session_options;
GQ_API void gq_session_defaults(gq_session_options* options);

/* Bytes at most that a session allocates at its full context, beside the mapped file and the threads' stacks; options
 * may be NULL. Up to 32 rows that want logits in one gq_decode() are included; each further one adds vocab_size floats.
 */
GQ_API gq_status gq_memory_needed(const gq_model* model, const gq_session_options* options, uint64_t* bytes);
/* options may be NULL. The model must outlive the session. GQ_INVALID_ARGUMENT: an option out of its range;
 * GQ_UNSUPPORTED: an isa that is unknown or beyond this CPU; GQ_OUT_OF_MEMORY. */
GQ_API gq_status gq_session_create(const gq_model* model, const gq_session_options* options, gq_session** session);
/* Its sequences and the logits that gq_logits() gave go with it. */
GQ_API void gq_session_free(gq_session* session);
/* The instruction set that serves, e.g. "avx512"; a static string; NULL for NULL. */
GQ_API const char* gq_session_isa(const gq_session* session);
/* How many threads compute, the caller's among them; 0 for NULL. */
GQ_API int32_t gq_session_threads(const gq_session* session);

/* Looked at between the stages of every layer of every pass, in the thread that called: 0 to go on, anything else ends
 * gq_decode() and gq_generate() with GQ_CANCELLED. NULL looks at nothing, as a new session does. Must not call
 * functions of this session. */
typedef int32_t (*gq_cancel_callback)(void* user);
GQ_API gq_status gq_session_set_cancel(gq_session* session, gq_cancel_callback cancel, void* user);

typedef struct gq_batch_row {
    uint32_t sequence;
    int32_t position; /* must be the sequence's next position: gq_sequence_length() */
    int32_t token;
    int32_t want_logits;
} gq_batch_row;
/* Runs the rows in order; a token's logits do not depend on what else is in the batch. GQ_INVALID_ARGUMENT: a token
 * outside the vocabulary or a position that is not the sequence's next; GQ_CONTEXT_FULL: no page is left; GQ_CANCELLED.
 * On any error every sequence has the length it had, and there are no logits to read. */
GQ_API gq_status gq_decode(gq_session* session, const gq_batch_row* rows, size_t n_rows);
/* Logits (vocab_size) of the index-th row of the last gq_decode() that wanted them; valid until the session's next
 * call. GQ_INVALID_ARGUMENT: there was no such row. */
GQ_API gq_status gq_logits(const gq_session* session, size_t index, const float** logits);

/* Positions that a sequence holds; 0 for one that was never decoded, and for NULL. */
GQ_API size_t gq_sequence_length(const gq_session* session, uint32_t sequence);
/* Forgets positions from n_positions on; 0 frees the sequence. One that holds no more than that stays as it is. */
GQ_API gq_status gq_sequence_truncate(gq_session* session, uint32_t sequence, size_t n_positions);
/* `to` becomes a copy of `from`, whatever it held; pages are shared until one of them writes. An unknown or empty
 * `from` leaves `to` empty. */
GQ_API gq_status gq_sequence_fork(gq_session* session, uint32_t from, uint32_t to);

/* ---- generating --------------------------------------------------------------------------------- */

typedef struct gq_generate_options {
    size_t struct_size;
    int32_t max_tokens; /* 0: until a stop token or the context is full */
    float temperature;  /* 0: greedy */
    int32_t top_k;      /* 0: all */
    float top_p, min_p; /* 1, 0: all */
    /* 1: none; over tokens of this call's prompt and answer, not what the sequence held before. */
    float repetition_penalty;
    int32_t repetition_window; /* how many of the last tokens count; 0: none */
    uint64_t seed;
    int32_t ignore_stop; /* non-zero: stop tokens do not end the text */
} gq_generate_options;
/* model may be NULL; otherwise the model's own generation settings, where it has them, replace the library's. */
GQ_API void gq_generate_defaults(const gq_model* model, gq_generate_options* options);

typedef enum gq_finish_reason {
    GQ_FINISH_STOP = 0,
    GQ_FINISH_LENGTH = 1,
    GQ_FINISH_CONTEXT = 2,
    GQ_FINISH_CALLBACK = 3
} gq_finish_reason;

/* Text that has become final: whole UTF-8 sequences, NUL-terminated, possibly empty; token is the id that was sampled.
 * Return 0 to go on, anything else to stop. token -1 brings no new token: empty text between the chunks of a long
 * prompt, and once at the end the text that was held back because its last character was not complete (U+FFFD in its
 * place). */
typedef int32_t (*gq_text_callback)(const char* text, size_t text_bytes, int32_t token, void* user);

typedef struct gq_generate_result {
    size_t struct_size; /* in: sizeof(gq_generate_result) */
    gq_finish_reason finish_reason;
    int32_t n_prompt_tokens, n_generated_tokens;
    double prompt_seconds, generate_seconds;
} gq_generate_result;
/* Appends the prompt to a sequence, then samples. The sequence keeps prompt and answer. callback and result may be
 * NULL. A prompt that does not fit gives GQ_CONTEXT_FULL; that, an option out of its range, an empty prompt
 * (GQ_INVALID_ARGUMENT), and gq_session_set_cancel() while the prompt is read (GQ_CANCELLED) change nothing. An error
 * after that, a cancelled answer included, leaves the prompt and the tokens decoded so far in the sequence and *result
 * as it was; GQ_NUMERIC: no logit is finite. */
GQ_API gq_status gq_generate(gq_session* session, uint32_t sequence, const int32_t* prompt, size_t n_prompt,
                             const gq_generate_options* options, gq_text_callback callback, void* user,
                             gq_generate_result* result);

/* ---- quantizing --------------------------------------------------------------------------------- */

typedef enum gq_method { GQ_METHOD_GPTQ = 0, GQ_METHOD_RTN = 1 } gq_method;
typedef enum gq_lorc_method { GQ_LORC_EORA = 0, GQ_LORC_LORC = 1 } gq_lorc_method;

#define GQ_BY_RECIPE INT32_MIN
typedef struct gq_quantize_options {
    size_t struct_size;
    /* 2, 3, 4, 5, 6, 8; 16 keeps floats. 0: with a target chosen; else matrices that a GGUF holds in blocks stay as
     * they are, value for value and without calibration, and others get 4; but where any other option than embed_bits,
     * n_threads, isa, report_path and judged_windows is set, all get 4. */
    int32_t bits;
    int32_t group;  /* 16 or a multiple of 32; 0: one scale a row; with a target also -1: chosen */
    int32_t method; /* a gq_method */
    /* What a group stores: "zero_point", "symmetric", "offset", "k", "k_signed"; NULL: "zero_point", with a target
     * that, "offset" or "k", chosen for each matrix. */
    const char* grid;
    /* GPTQ's; nothing without it. Names may be NULL: the default. GQ_BY_RECIPE, and NULL of grid_search: as the recipe
     * has it, as far as that goes with what is asked for. */
    const char* order;       /* "column"; "act": by descending Hessian diagonal; "gar": that inside groups */
    const char* grid_search; /* "span"; "clip": a group's range is cut where that rounds with less loss; "joint" */
    double damping;          /* added to the Hessian's diagonal, a share of its mean: 0 … 1 */
    double qep, gptaq;   /* 0 … 1: how much of the inputs' drift from the float model is corrected; not both; qep may
                          * be GQ_BY_RECIPE */
    double foem;         /* 0 … below 1: weight of the first-order term */
    int32_t sweeps;      /* coordinate descent over the codes after the solve; order act or gar; or GQ_BY_RECIPE */
    int32_t refit;       /* non-zero: grids by least squares after that; order act or gar; or GQ_BY_RECIPE */
    int32_t rotate;      /* non-zero: the model is rotated first, which makes its weights easier to round; or
                          * GQ_BY_RECIPE */
    int32_t lorc_rank;   /* of an 8-bit correction beside the rounded weights; 0: none */
    int32_t lorc_method; /* a gq_lorc_method: errors measured at the outputs (GPTQ only), or in the weights */
    int32_t embed_bits;  /* embedding and head, which is solved below 8: 2, 3, 4, 5, 6, 8, 16; 0: with target_bytes
                          * chosen, else as bits: 8 */
    /* Mixed widths, what rounding each matrix does to the model being measured first; 0: none, both: an error. */
    uint64_t target_bytes;        /* of the file, at most */
    double target_bpw;            /* bits a weight of the linears, at most */
    const char* calibration_path; /* UTF-8 text; NULL: the built-in text */
    int32_t calibration_windows;  /* GQ_BY_RECIPE: 32; of refine and best 64 */
    int32_t calibration_window;   /* tokens of a window: 512; the log warns where a model's context is less, and
                                   * where it has learned no more positions they are refused */
    int32_t held_out_windows; /* besides those; what is solved is rounded to nearest where that loses less on them, and
                               * they choose the epoch of a training that is kept (0: a tenth of the others does);
                               * GQ_BY_RECIPE: 4; with bits 16 or without GPTQ none */
    int32_t adaptive_damping; /* non-zero: the damping that loses least on them, stage by stage */
    int32_t n_threads;
    const char* isa;         /* as in gq_session_options */
    const char* report_path; /* a page where it ends in .html, otherwise JSON; NULL: none */
    int32_t distill_epochs;  /* of training every block towards the float one on the calibration text; 0: none */
    int32_t refine_epochs;   /* of training scales, norms and biases of the whole model after that; 0: none; or
                                GQ_BY_RECIPE */
    const char* codes;       /* instead of the integers of `bits`: "table4", 16 values of IQ4_NL; NULL: those */
    /* Settings that measured well together, of method GQ_METHOD_GPTQ: "plain", "qep", "sweeps", "rotate",
     * "rotate-sweeps", "refine"; NULL: the one for this width; "best": all are tried, and what diverges
     * least from the float model on text that no try has seen is kept (the log tells what each came to). */
    const char* recipe;
    int32_t calibration_self; /* non-zero: the model writes its calibration text, calibration_path is NULL; that takes
                               * as much memory as the model has with 16 bits a weight */
    /* Besides all those, fewer where the text has no room: the file's KL to the float model and both perplexities on
     * them go into its provenance and report; compare those of equal windows_xxh64. 0: none; GQ_BY_RECIPE: 4 with
     * report_path, else none; of best 4 at least. */
    int32_t judged_windows;
    int32_t true_sequential; /* zero: a block's linears are solved for the inputs that it gives them as floats, not for
                              * those that its own rounded linears do */
} gq_quantize_options;
GQ_API void gq_quantize_defaults(gq_quantize_options* options);

typedef struct gq_quantize_progress {
    const char* tensor;      /* the one just written; NULL between them: see activity */
    int32_t n_done, n_total; /* tensors; n_total 0: not known yet */
    double loss, rtn_loss;   /* of the tensor, per calibration token and output; negative where there is none */
    double damping;
    double seconds, seconds_left; /* elapsed; estimate, negative while unknown */
    const char* note;             /* "" or what deserves attention: a retry, a fallback, dead inputs */
    const char* activity;         /* "" or, without a tensor, what goes on, such as "block 3 of 30" */
} gq_quantize_progress;
/* Return 0 to go on, anything else to cancel. */
typedef int32_t (*gq_quantize_callback)(const gq_quantize_progress* progress, void* user);

/* source: a safetensors folder or a GGUF file. output: appears under its name only when all is well; what stood there
 * before stays until then, and stays after any error. options and callback may be NULL. GQ_INVALID_ARGUMENT: an option
 * out of its range or a calibration text that is too short; GQ_IO: a file that can't be read or written; GQ_BAD_FILE,
 * GQ_UNSUPPORTED: the source, as gq_model_open(); GQ_NUMERIC: weights or activations that are not finite; GQ_CANCELLED:
 * by the callback. */
GQ_API gq_status gq_quantize(const char* source, const char* output, const gq_quantize_options* options,
                             gq_quantize_callback callback, void* user);

/* What rounding each matrix alone does, at 2, 3, 4 and 8 bits: relative losses at its output, predicted and measured,
 * and the change of the whole model's predictions. Of the options group, grid, those of GPTQ, rotate, calibration and
 * threads count; report_path gets all of it as JSON. callback: note is a line of the table; a NULL tensor comes with
 * means by layer, and by role with its class of ZeroQuant-V2. Errors as gq_quantize(). */
GQ_API gq_status gq_measure_sensitivity(const char* source, const gq_quantize_options* options,
                                        gq_quantize_callback callback, void* user);

/* ---- experimental: for bench and inspect; may change in any version ----------------------------- */

/* What a .gq, a GGUF or a checkpoint folder holds: as JSON, or as lines for people. verify: compare a .gq's hashes
 * first; GQ_INVALID_ARGUMENT for the other kinds, which hold none. Buffer rules as above. */
typedef enum gq_describe_format { GQ_DESCRIBE_TEXT = 0, GQ_DESCRIBE_JSON = 1 } gq_describe_format;
GQ_API gq_status gq_describe(const char* path, int32_t format, int32_t verify, char* buffer, size_t* size);
/* The report on a .gq as an HTML page, from what quantizing stored in it; GQ_INVALID_ARGUMENT for the other kinds of
 * path. figures: NULL, or JSON as ./perplexity --json prints it, to be shown as well; GQ_BAD_FILE or
 * GQ_INVALID_ARGUMENT where it is none. Buffer rules as above. */
GQ_API gq_status gq_report_html(const char* path, const char* figures, char* buffer, size_t* size);
/* A tokenizer alone, from the same kinds of path: for gq_tokenize() and gq_detokenize(), and gq_model_free() in the
 * end. Errors as gq_model_open(). */
GQ_API gq_status gq_tokenizer_open(const char* path, gq_model** model);
/* What a machine can do at most, with n_threads and the instructions of an isa. 0: not known, as the multiplications of
 * "scalar" are. */
typedef struct gq_limits {
    size_t struct_size; /* in: sizeof(gq_limits) */
    const char* isa;    /* a static string */
    double read_bytes;  /* per second, of memory: the best of several ways of plain reading */
    double int8_ops;    /* per second, on numbers that stay in registers; a multiply-add is two */
    double f32_ops;
} gq_limits;
/* Measures for about `seconds`, 0 … 60, and each probe at least once. isa and n_threads as in gq_session_options.
 * GQ_INVALID_ARGUMENT: a number out of its range; GQ_UNSUPPORTED: the isa; GQ_OUT_OF_MEMORY. */
GQ_API gq_status gq_probe_limits(const char* isa, int32_t n_threads, double seconds, gq_limits* limits);

/* What computing one token takes. */
typedef struct gq_token_cost {
    size_t struct_size; /* in: sizeof(gq_token_cost) */
    uint64_t kv_bytes;  /* of keys and values, that its attention reads */
    uint64_t int8_macs; /* multiply-adds of its linears on int8, and on f32; attention is in neither */
    uint64_t f32_macs;
} gq_token_cost;
/* Of the token at `position`, 0 being a sequence's first; want_logits as in gq_batch_row. GQ_INVALID_ARGUMENT: a
 * position beyond the session's context. */
GQ_API gq_status gq_session_token_cost(const gq_session* session, size_t position, int32_t want_logits,
                                       gq_token_cost* cost);

/* How fast a kernel is, on one thread. Strings are static. */
typedef struct gq_kernel_rate {
    const char* operation; /* "gemv" */
    const char* kernel;    /* "gemv_int4_avx2" */
    const char* isa;
    const char* codes;   /* of the weights, or a type of the cache; NULL where the operation has none */
    int32_t n_tokens;    /* 0 where it does not depend on them */
    int32_t can_run;     /* 0: not on this CPU; there are no numbers */
    const char* unit;    /* what is counted: "B", read and written, or "OP", a multiply-add being two */
    double rate, scalar; /* per second, of the kernel and of the scalar one that it equals */
    double limit;        /* of the machine, for this unit and isa; 0: none is known */
} gq_kernel_rate;
/* Return 0 to go on, anything else to stop. */
typedef int32_t (*gq_kernel_callback)(const gq_kernel_rate* rate, void* user);
/* Every kernel of this library × the codes, or types of the cache, that it reads; each row takes about `seconds`, 0
 * … 60. Streams weights from 256 MiB. GQ_CANCELLED: by the callback; GQ_INVALID_ARGUMENT: seconds; GQ_OUT_OF_MEMORY. */
GQ_API gq_status gq_bench_kernels(double seconds, gq_kernel_callback callback, void* user);

#ifdef __cplusplus
}
#endif

#endif
