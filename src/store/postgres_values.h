// Values on their way to PostgreSQL and back, and what its errors mean.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace penstock::store {

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PostgresResult = std::unique_ptr<PGresult, FreeResult>;

// Parameters as libpq takes them. They point into the values, which must outlive them.
class Parameters {
 public:
  explicit Parameters(const Values& values);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  int count() const { return static_cast<int>(texts_.size()); }
  const char* const* texts() const { return texts_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  std::vector<std::string> kept_;
  std::vector<const char*> texts_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

Rows rows_of(const PGresult* result);

// Why something failed, as far as the next decision depends on it.
struct PostgresFailure {
  Error error;
  std::string state;    // SQLSTATE; empty: the connection ended, or no answer came
  bool broken = false;  // the connection is of no use any more
  bool sure = false;    // nothing was written
  bool again = false;   // it may be otherwise with another connection, or soon
  bool silent = false;  // no answer came until the end of the wait
};

PostgresFailure failure_of(const PGresult* result, std::string_view database);
PostgresFailure broken_connection(const PGconn* connection, std::string_view database);

}  // namespace penstock::store
