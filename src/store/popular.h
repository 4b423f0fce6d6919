// What was asked most, by all nodes together: what is warmed at the next start
// (`cache.warm.popular`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct PopularQuestion {
  std::string key;  // of its answer in the cache, in hexadecimal digits
  std::string path;
  std::string body;
  std::string tenant;
  std::string scope;       // what its answer is kept by
  std::string tags;        // with commas between
  std::int64_t asked = 0;  // how often; when it is added: since it was added last
};
inline constexpr std::size_t kMostPopular = 100;  // in one call of add_popular

// What was not asked for a day counts half from then on, and is forgotten after seven, or where
// more than `keep` were asked more often.
Task<Result<void>> add_popular(Database& database, std::vector<PopularQuestion> questions,
                               std::int64_t now_us, Deadline& deadline);
Task<Result<void>> forget_unpopular(Database& database, std::int64_t now_us, std::int64_t keep,
                                    Deadline& deadline);
// The one that was asked most first; `most` of them, behind as many others.
Task<Result<std::vector<PopularQuestion>>> list_popular(Database& database, std::int64_t most,
                                                        std::int64_t behind, Deadline& deadline);

Part popular_statements();

}  // namespace penstock::store
