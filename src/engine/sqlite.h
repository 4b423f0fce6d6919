// SQLite (3.40) with Results instead of codes, for one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace penstock::engine {

class Statement;

class Database {
 public:
  // Creates the file where it is not there.
  static Result<Database> open(const std::string& path);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  // One or more statements without parameters.
  Result<void> run(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  std::int64_t last_row() const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

// A prepared statement, used again and again.
//
//   statement.bind(1, path).bind(2, size);
//   while (statement.step()) use(statement.text(0));
class Statement {
 public:
  Statement& bind(int index, std::string_view text);  // copied
  Statement& bind(int index, std::int64_t number);

  // True: there is a row. At the end, and after a fault, it is reset and may be bound again.
  Result<bool> step();

  // Valid until the next step().
  std::string_view text(int column) const;
  std::int64_t number(int column) const;
  double real(int column) const;

 private:
  friend class Database;
  struct Close {
    void operator()(sqlite3_stmt* handle) const;
  };
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3_stmt, Close> handle_;
};

}  // namespace penstock::engine
