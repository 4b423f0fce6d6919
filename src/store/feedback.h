// What people said of answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct Feedback {
  std::string id;  // UUIDv7
  std::int64_t time_us = 0;
  std::string request_id;  // of the answer
  std::string tenant;
  std::string key;
  std::string rating;   // "up", "down"
  std::string comment;  // as it was written
  std::string model;    // empty: that of the request, if it is in the ledger
};

Task<Result<void>> add_feedback(Database& database, Feedback feedback, Deadline& deadline);

struct FeedbackQuestion {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;  // not included
  std::optional<std::string> tenant, rating, model;
  std::int64_t most = 100;
  // Behind this one: the last of the answer before.
  std::int64_t after_us = -1;
  std::string after_id;
};
// In the order of their time.
Task<Result<std::vector<Feedback>>> list_feedback(Database& database, FeedbackQuestion question,
                                                  Deadline& deadline);

Part feedback_statements();

}  // namespace penstock::store
