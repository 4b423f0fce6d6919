#include "store/feedback.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

// The row of a request may come later than what is said of it, and hits of the cache have none.
constexpr Statement kAdd = {
    "add_feedback",
    "INSERT INTO feedback (id, time_us, request_id, tenant, key, rating, comment, model) VALUES "
    "($1, $2, $3, $4, $5, $6, $7, CASE WHEN CAST($8 AS text) <> '' THEN CAST($8 AS text) ELSE "
    "coalesce((SELECT model FROM usage WHERE request_id = $3 AND request_id <> '' AND tenant = $4 "
    "LIMIT 1), '') END) ON CONFLICT (id) DO NOTHING",
    {},
    false,
    true};
constexpr Statement kList = {
    "list_feedback",
    "SELECT id, time_us, request_id, tenant, key, rating, comment, model FROM feedback WHERE "
    "time_us >= $1 AND time_us < $2 AND (time_us, id) > ($6, $7) AND "
    "(CAST($3 AS text) IS NULL OR tenant = CAST($3 AS text)) AND "
    "(CAST($4 AS text) IS NULL OR rating = CAST($4 AS text)) AND "
    "(CAST($5 AS text) IS NULL OR model = CAST($5 AS text)) ORDER BY time_us, id LIMIT $8",
    {},
    true};

}  // namespace

Task<Result<void>> add_feedback(Database& database, Feedback feedback, Deadline& deadline) {
  Values values = {std::move(feedback.id),         feedback.time_us,
                   std::move(feedback.request_id), std::move(feedback.tenant),
                   std::move(feedback.key),        std::move(feedback.rating),
                   std::move(feedback.comment),    std::move(feedback.model)};
  Result<Rows> added = co_await database.write(kAdd, std::move(values), nullptr, deadline);
  if (!added) co_return std::move(added).error();
  co_return Result<void>();
}

Task<Result<std::vector<Feedback>>> list_feedback(Database& database, FeedbackQuestion question,
                                                  Deadline& deadline) {
  Values values = {question.from_us,
                   question.to_us,
                   value_of(question.tenant),
                   value_of(question.rating),
                   value_of(question.model),
                   question.after_us,
                   std::move(question.after_id),
                   question.most};
  Result<Rows> rows = co_await database.read(kList, std::move(values), Mark(), deadline);
  if (!rows) co_return std::move(rows).error();
  std::vector<Feedback> out;
  for (const Values& row : rows->rows) {
    out.push_back({text_of(row[0]), number_of(row[1]), text_of(row[2]), text_of(row[3]),
                   text_of(row[4]), text_of(row[5]), text_of(row[6]), text_of(row[7])});
  }
  co_return out;
}

Part feedback_statements() {
  static constexpr std::array kAll = {&kAdd, &kList};
  return kAll;
}

}  // namespace penstock::store
