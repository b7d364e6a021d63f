// The search over recipes for one model. See recipe.h.
// In: a source, options. Out: the file that diverges least from the float model, nothing else under any name. Must not
// know what recipes set.
#include <algorithm>
#include <chrono>
#include <optional>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/quantize/calibration_source.h"
#include "core/quantize/float_model.h"
#include "core/quantize/recipe.h"
#include "formats/output_file.h"

namespace gq {
namespace {

constexpr size_t judging_windows = 4;

// A name that a file has for a while, and nobody's when this ends.
class PassingFile {
  public:
    // Empty: none. Error(invalid_argument) where somebody's file has the name.
    explicit PassingFile(std::filesystem::path path) : path_(std::move(path)) {
        if (!path_.empty() && std::filesystem::exists(std::filesystem::symlink_status(path_)))
            fail(Status::invalid_argument, "recipe best: %s is written on the way: expected no such file, found one",
                 path_.c_str());
    }
    ~PassingFile() {
        std::error_code gone;  // nothing more can be done, and nothing is lost
        if (!path_.empty()) std::filesystem::remove(path_, gone);
    }
    PassingFile(const PassingFile&) = delete;
    PassingFile& operator=(const PassingFile&) = delete;

    const std::filesystem::path& path() const { return path_; }
    void become(const std::filesystem::path& name) const {
        if (!path_.empty()) move_file(path_, name);
    }

  private:
    std::filesystem::path path_;
};

// R.html with .try is R.try.html: the ending of the name that was asked for, also of a link, says what a report is.
std::filesystem::path inserted(const std::filesystem::path& report, const std::string& word) {
    return report.empty() ? report : followed(report).replace_extension(word + report.extension().string());
}

// A result and, where one is asked for, the report on it, beside the files that links of those names lead to.
struct Files {
    PassingFile model, report;

    Files(const std::filesystem::path& output, const std::filesystem::path& report_path, const char* word)
        : model(followed(output).string() + word), report(inserted(report_path, word)) {}
    void become(const std::filesystem::path& output, const std::filesystem::path& report_path) const {
        report.become(report_path);
        model.become(output);
    }
};

// Whether one of them does the same, as far as recipes decide it.
bool is_among(std::span<const QuantizeOptions> all, const QuantizeOptions& options) {
    return std::any_of(all.begin(), all.end(), [&](const QuantizeOptions& other) {
        const GptqOptions &a = other.solver, &b = options.solver;
        return a.search == b.search && a.qep == b.qep && a.sweeps == b.sweeps && a.refit == b.refit &&
               other.rotate == options.rotate && other.refine_epochs == options.refine_epochs;
    });
}

// None where the recipe makes numbers that can't be stored or that are none: the others may not.
std::optional<Verdict> numbers_of(const Recipe& recipe, FunctionRef<std::optional<Verdict>()> attempt) {
    try {
        return attempt();
    } catch (const Error& error) {
        if (error.status() != Status::numeric) throw;
        log_message(LogLevel::warning, "recipe %s: %s", recipe.name, error.what());
        return std::nullopt;
    }
}

// With windows to judge by, and what the model writes known to all tries.
QuantizeOptions with_judges(QuantizeOptions options, const Checkpoint& checkpoint, const SourceModel& model,
                            const Compute& compute, const QuantizeCallback& progress) {
    options.judged = std::max(options.judged, judging_windows);
    options.held_out = std::max(options.held_out, judging_windows);
    if (!options.own_text) return options;
    options.written_text =
        calibration_text(options, checkpoint, model, Tokenizer::from_checkpoint(checkpoint), compute, [&] {
            if (progress && progress({.activity = writing_text}))
                fail(Status::cancelled, "cancelled before the first recipe");
        }).text;
    return options;
}

}  // namespace

void quantize_best(const std::filesystem::path& source, const std::filesystem::path& output,
                   const QuantizeOptions& options, const Compute& compute, const QuantizeCallback& progress) {
    using Clock = std::chrono::steady_clock;
    check_options(options);
    if (options.method != Method::gptq)
        fail(Status::invalid_argument, "recipe best: expected the method gptq, rounding to nearest has no recipes");
    const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(source);
    refuse_losses(output, *checkpoint, options);
    const OutputFile name(output);  // until the end: nobody else writes it, and what can't be is found out now
    std::optional<OutputFile> report_name;
    if (!options.report.empty()) report_name.emplace(options.report);
    const Files attempt(output, options.report, ".try"), best(output, options.report, ".best");
    const Recipe* winner = nullptr;
    double least = 0;
    const SourceModel model(*checkpoint);
    const QuantizeOptions judged = with_judges(options, *checkpoint, model, compute, progress);
    std::vector<QuantizeOptions> all_tried;
    for (const Recipe& recipe : all_recipes()) {
        std::string left_out;
        QuantizeOptions tried = suited_to(model, with_recipe(recipe, judged), left_out);
        if (!left_out.empty()) log_message(LogLevel::info, "%s", left_out.c_str());
        if (is_among(all_tried, tried)) continue;
        all_tried.push_back(tried);
        tried.report = attempt.report.path();
        log_message(LogLevel::info, "recipe %s: %s", recipe.name, recipe.what);
        const auto start = Clock::now();
        const std::optional<Verdict> found =
            numbers_of(recipe, [&] { return quantize_model(source, attempt.model.path(), tried, compute, progress); });
        if (!found) continue;
        std::error_code unknown;  // the size is only for the eye
        log_message(LogLevel::info, "recipe %s: KL %.5f on %zu tokens that no solve saw, %.0f s, %.1f MB", recipe.name,
                    found->kl, found->tokens, std::chrono::duration<double>(Clock::now() - start).count(),
                    static_cast<double>(std::filesystem::file_size(attempt.model.path(), unknown)) / 1e6);
        if (winner && found->kl >= least) continue;
        attempt.become(best.model.path(), best.report.path());
        winner = &recipe;
        least = found->kl;
    }
    if (!winner)
        fail(Status::numeric,
             "recipe best: expected finite numbers of one recipe at least on windows that none was fitted to, found "
             "none");
    log_message(LogLevel::info, "best: recipe %s", winner->name);
    best.become(output, options.report);
}

}  // namespace gq
