// The knapsack against every assignment there is, and against its bound by duality.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "core/base/status.h"
#include "core/quantize/plan.h"
#include "tests/error_of.h"
#include "tests/near.h"

using namespace gq;

namespace {

// Like a model's: bytes grow by width, losses fall by about four a bit.
std::vector<PlanRow> random_rows(size_t n, size_t n_choices, std::mt19937& random) {
    std::vector<PlanRow> rows(n);
    for (PlanRow& row : rows) {
        const auto size = 100 + random() % 900;
        const double scale = 1 + static_cast<double>(random() % 1000);
        for (size_t i = 0; i < n_choices; ++i) {
            const double noise = 0.7 + static_cast<double>(random() % 600) / 1000;
            row.push_back({size * (i + 2) + random() % 50, scale * noise / static_cast<double>(size_t{1} << (2 * i))});
        }
        std::shuffle(row.begin(), row.end(), random);
    }
    return rows;
}

double least_loss(const std::vector<PlanRow>& rows, size_t at, uint64_t budget) {
    if (at == rows.size()) return 0;
    double least = 1e300;
    for (const PlanChoice& choice : rows[at])
        if (choice.bytes <= budget)
            least = std::min(least, choice.loss + least_loss(rows, at + 1, budget - choice.bytes));
    return least;
}

void check_sums(const std::vector<PlanRow>& rows, const Plan& plan) {
    uint64_t bytes = 0;
    double loss = 0;
    REQUIRE(plan.choice.size() == rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
        bytes += rows[r][plan.choice[r]].bytes;
        loss += rows[r][plan.choice[r]].loss;
    }
    CHECK(plan.bytes == bytes);
    CHECK(plan.loss == test::near(loss, 1e-12));  // double, in another order of adding
}

}  // namespace

TEST_SUITE_BEGIN("quantize");

TEST_CASE("plan: within the budget, and near the best of all assignments") {
    std::mt19937 random(7);
    double worst = 1, sum = 0;
    constexpr int n_cases = 60;
    for (int n = 0; n < n_cases; ++n) {
        const std::vector<PlanRow> rows = random_rows(6, 4, random);
        const uint64_t least = least_bytes(rows), budget = least + random() % least;
        const Plan plan = best_plan(rows, budget);
        check_sums(rows, plan);
        CHECK(plan.bytes <= budget);
        const double best = least_loss(rows, 0, budget);
        CHECK(plan.loss >= best * (1 - 1e-12));
        worst = std::max(worst, plan.loss / best);
        sum += plan.loss / best;
    }
    // With six tensors a single choice is much of the budget; the gap falls with their number.
    CHECK(worst < 1.6);
    CHECK(sum / n_cases < 1.05);
}

TEST_CASE("plan: the best there is where the budget is a corner of the hulls") {
    std::mt19937 random(8);
    for (int n = 0; n < 30; ++n) {
        const std::vector<PlanRow> rows = random_rows(5, 4, random);
        const double lambda = static_cast<double>(random() % 1000) / 2000;
        uint64_t budget = 0;
        for (const PlanRow& row : rows) {
            const auto cost = [&](const PlanChoice& c) { return c.loss + lambda * static_cast<double>(c.bytes); };
            budget += std::min_element(row.begin(), row.end(), [&](const PlanChoice& a, const PlanChoice& b) {
                          return cost(a) < cost(b);
                      })->bytes;
        }
        CHECK(best_plan(rows, budget).loss == test::near(least_loss(rows, 0, budget), 1e-12));  // as above
    }
}

TEST_CASE("plan: as many tensors as a model has leave less than 1 % of the budget") {
    std::mt19937 random(9);
    const std::vector<PlanRow> rows = random_rows(200, 6, random);
    uint64_t most = 0;
    for (const PlanRow& row : rows)
        most += std::max_element(row.begin(), row.end(), [](const PlanChoice& a, const PlanChoice& b) {
                    return a.bytes < b.bytes;
                })->bytes;
    const uint64_t least = least_bytes(rows);
    double last = 1e300;
    for (uint64_t budget = least; budget < most * 9 / 10; budget += (most - least) / 20) {
        const Plan plan = best_plan(rows, budget);
        CHECK(plan.bytes <= budget);
        if (budget > least) CHECK(static_cast<double>(plan.bytes) > 0.99 * static_cast<double>(budget));
        CHECK(plan.loss < last);
        last = plan.loss;
    }
}

TEST_CASE("plan: a choice that is smaller and better is taken; a budget below the least is refused") {
    const std::vector<PlanRow> rows = {{{100, 5.0}, {100, 3.0}, {90, 4.0}}, {{10, 1.0}}};
    CHECK(least_bytes(rows) == 100);
    CHECK(best_plan(rows, 100).choice == std::vector<size_t>{2, 0});
    CHECK(best_plan(rows, 110).choice == std::vector<size_t>{1, 0});
    CHECK(best_plan(rows, 1000).choice == std::vector<size_t>{1, 0});
    const std::string message = test::error_of([&] { best_plan(rows, 99); });
    test::check_contains(message, "at least 100 bytes expected, found 99");
}

TEST_SUITE_END();
