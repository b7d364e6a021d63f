// Recipes: that each can be carried out, what gives way to other options, and the search for the best on a tiny model.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "core/base/log.h"
#include "core/quantize/recipe.h"
#include "core/quantize/solver_options.h"
#include "tests/error_of.h"
#include "tests/quantize/walk_test.h"

using namespace gq;
using gq::test::error_of;

namespace {

QuantizeOptions best_options() {
    QuantizeOptions options = tiny_options(2);
    options.windows = 4;
    return options;
}

// The lines of the log while a call runs.
class LogLines {
  public:
    LogLines() {
        set_log_sink([](LogLevel, const char* line,
                        void* user) { static_cast<std::vector<std::string>*>(user)->emplace_back(line); },
                     &lines_);
    }
    ~LogLines() { set_log_sink(nullptr, nullptr); }
    // The KL of each recipe as the log tells it.
    std::map<std::string, double> divergences() const {
        std::map<std::string, double> found;
        for (const std::string& line : lines_) {
            const size_t name = std::string("recipe ").size(), kl = line.find(": KL ");
            if (line.starts_with("recipe ") && kl != std::string::npos)
                found[line.substr(name, kl - name)] = std::stod(line.substr(kl + 5));
        }
        return found;
    }
    const std::string& last() const { return lines_.back(); }

  private:
    std::vector<std::string> lines_;
};

std::vector<std::string> names_beside(const std::filesystem::path& file) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path())) {
        const std::string name = entry.path().filename();
        if (name.starts_with(file.filename().string()) && name != file.filename()) names.push_back(name);
    }
    return names;
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("every recipe can be carried out, and every width has one") {
        for (const Recipe& recipe : all_recipes()) {
            CAPTURE(std::string(recipe.name));
            CHECK(&recipe_of(recipe.name) == &recipe);
            CHECK_NOTHROW(check_options(with_recipe(recipe, {})));
        }
        for (const unsigned bits : {chosen_bits, 2U, 3U, 4U, 5U, 6U, 8U, 16U}) CHECK_NOTHROW(default_recipe(bits));
        CHECK(std::string(default_recipe(6).name) == "rotate");
        CHECK(std::string(default_recipe(8).name) == "plain");
        CHECK(std::string(default_recipe(16).name) == "plain");  // which computes nothing that 16 bits don't need
        CHECK(error_of([] { recipe_of("nonesuch"); }) ==
              "error: recipe: expected plain, qep, sweeps, rotate, rotate-sweeps, refine or best, found 'nonesuch'");
    }

    TEST_CASE("parts of a recipe give way to options that they don't go with") {
        QuantizeOptions options;
        options.solver.order = Order::column;
        const QuantizeOptions ordered = with_recipe(recipe_of("sweeps"), options);
        CHECK(ordered.solver.sweeps == 0);
        CHECK_FALSE(ordered.solver.refit);
        CHECK(ordered.solver.qep == recipe_of("sweeps").qep);
        CHECK_NOTHROW(check_options(ordered));

        QuantizeOptions drifting;
        drifting.solver.gptaq = 0.25;
        CHECK_NOTHROW(check_options(with_recipe(recipe_of("qep"), drifting)));

        QuantizeOptions corrected, alone, table;
        corrected.lorc_rank = 32;
        alone.windows = 1;
        table.codes = "table4";
        for (const QuantizeOptions& o : {corrected, alone, table}) {
            CHECK(with_recipe(recipe_of("refine"), o).refine_epochs == (o.codes.empty() ? 0 : 2));
            CHECK_NOTHROW(check_options(with_recipe(recipe_of("refine"), o)));
        }
    }

    TEST_CASE("the best recipe's file is kept, and nothing else") {
        // Links to what is not there yet: they stay, and the report's own ending says that it is a page.
        const TemporaryPath out("best.gq"), again("again.gq"), report("best_report"), link("linked.gq"),
            report_link("linked.html");
        std::filesystem::create_symlink(out.path(), link.path());
        std::filesystem::create_symlink(report.path(), report_link.path());
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        const std::filesystem::path source = golden_path("tiny_llama_untied");
        const LogLines log;
        QuantizeOptions options = best_options();
        options.report = report_link.path();
        quantize_best(source, link.path(), options, compute, {});
        const std::map<std::string, double> found = log.divergences();
        REQUIRE(found.size() == all_recipes().size());
        const auto least = std::min_element(found.begin(), found.end(),
                                            [](const auto& a, const auto& b) { return a.second < b.second; });
        CHECK(log.last() == "best: recipe " + least->first);
        CHECK(names_beside(out.path()).empty());
        CHECK(std::filesystem::is_symlink(link.path()));
        CHECK(std::filesystem::is_symlink(report_link.path()));
        CHECK(file_bytes(report.path()).starts_with("<!"));

        QuantizeOptions same = with_recipe(recipe_of(least->first), best_options());
        same.judged = same.held_out = 4;
        quantize_model(source, again.path(), same, compute, {});
        CHECK(file_bytes(again.path()) == file_bytes(out.path()));
    }

    TEST_CASE("recipes that come to the same where nothing can be rotated are tried once") {
        const TemporaryPath out("best_opt.gq");
        ThreadPool pool(2);
        const LogLines log;
        quantize_best(tiny_path("opt"), out.path(), best_options(), {pool, kernel_table()}, {});
        std::vector<std::string> tried;
        for (const auto& [recipe, kl] : log.divergences()) tried.push_back(recipe);
        CHECK(tried == std::vector<std::string>{"plain", "qep", "refine", "sweeps"});
    }

    TEST_CASE("a search that is cancelled or would lose a file leaves everything as it was") {
        const TemporaryPath out("best.gq");
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        const std::filesystem::path source = golden_path("tiny_llama_tied");
        size_t n_calls = 0;
        const auto cancel_late = [&](const QuantizeProgress&) { return ++n_calls > 60; };  // within the second recipe
        CHECK(error_of([&] {
                  quantize_best(source, out.path(), best_options(), compute, cancel_late);
              }).starts_with("error: quantizing was cancelled"));
        CHECK_FALSE(std::filesystem::exists(out.path()));
        CHECK(names_beside(out.path()).empty());

        const std::filesystem::path mine = out.path().string() + ".best";
        std::ofstream(mine) << "mine";
        CHECK(error_of([&] { quantize_best(source, out.path(), best_options(), compute, {}); }) ==
              "error: recipe best: " + mine.string() + " is written on the way: expected no such file, found one");
        CHECK(file_bytes(mine) == "mine");
        std::filesystem::remove(mine);
    }
}
