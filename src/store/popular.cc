#include "store/popular.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;
constexpr std::int64_t kForgotten = 7 * kDay;

constexpr Statement kAdd = {
    "add_popular",
    "INSERT INTO popular_questions AS p (key, seen_us, asked, tenant, scope, path, tags, body) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (key) DO UPDATE SET asked = CASE WHEN "
    "p.seen_us < $9 THEN p.asked / 2 ELSE p.asked END + excluded.asked, seen_us = "
    "excluded.seen_us"};
constexpr Statement kList = {"list_popular",
                             "SELECT key, path, body, tenant, scope, tags, asked FROM "
                             "popular_questions ORDER BY asked DESC LIMIT $1 OFFSET $2",
                             {},
                             true};
constexpr Statement kForgetOld = {
    "forget_popular", "DELETE FROM popular_questions WHERE seen_us < $1", {}, false, true};
constexpr Statement kForgetRare = {
    "forget_popular",
    "DELETE FROM popular_questions WHERE asked < (SELECT asked FROM popular_questions ORDER BY "
    "asked DESC LIMIT 1 OFFSET $1)",
    {},
    false,
    true};

}  // namespace

Task<Result<void>> add_popular(Database& database, std::vector<PopularQuestion> questions,
                               std::int64_t now_us, Deadline& deadline) {
  std::vector<Step> steps;
  steps.reserve(questions.size());
  for (PopularQuestion& one : questions) {
    steps.push_back(
        Step{&kAdd,
             {std::move(one.key), now_us, one.asked, std::move(one.tenant), std::move(one.scope),
              std::move(one.path), std::move(one.tags), std::move(one.body), now_us - kDay}});
  }
  if (steps.empty()) co_return Result<void>();
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Task<Result<void>> forget_unpopular(Database& database, std::int64_t now_us, std::int64_t keep,
                                    Deadline& deadline) {
  std::vector<Step> steps;
  steps.push_back(Step{&kForgetOld, {now_us - kForgotten}});
  steps.push_back(Step{&kForgetRare, {keep}});
  Result<std::vector<Rows>> done = co_await database.transact(std::move(steps), nullptr, deadline);
  if (!done) co_return std::move(done).error();
  co_return Result<void>();
}

Task<Result<std::vector<PopularQuestion>>> list_popular(Database& database, std::int64_t most,
                                                        std::int64_t behind, Deadline& deadline) {
  Values values = {most, behind};
  Result<Rows> rows = co_await database.read(kList, std::move(values), Mark(), deadline);
  if (!rows) co_return std::move(rows).error();
  std::vector<PopularQuestion> out;
  out.reserve(rows->rows.size());
  for (const Values& row : rows->rows) {
    out.push_back({text_of(row[0]), text_of(row[1]), text_of(row[2]), text_of(row[3]),
                   text_of(row[4]), text_of(row[5]), number_of(row[6])});
  }
  co_return out;
}

Part popular_statements() {
  static constexpr std::array kAll = {&kAdd, &kList, &kForgetOld, &kForgetRare};
  return kAll;
}

}  // namespace penstock::store
