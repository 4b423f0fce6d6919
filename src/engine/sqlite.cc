#include "engine/sqlite.h"

#include <sqlite3.h>

namespace penstock::engine {
namespace {

Error failed(sqlite3* handle, int code) {
  return {Kind::internal, Source::store, code == SQLITE_BUSY,
          std::string("SQLite: ") +
              (handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code))};
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void Statement::Close::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }

Result<Database> Database::open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);  // also a failed open gives a handle that must be closed
  if (code != SQLITE_OK) return failed(handle, code);
  sqlite3_busy_timeout(handle, 5000);
  return database;
}

Result<void> Database::run(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(handle_.get(), code);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return failed(handle_.get(), code);
  return Statement(handle);
}

std::int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_.get()); }

Statement& Statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(handle_.get(), index, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
  sqlite3_bind_int64(handle_.get(), index, number);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  sqlite3* const database = sqlite3_db_handle(handle_.get());
  std::optional<Error> error;
  if (code != SQLITE_DONE) error = failed(database, code);
  sqlite3_reset(handle_.get());
  if (error) return *error;
  return false;
}

std::string_view Statement::text(int column) const {
  const unsigned char* const text = sqlite3_column_text(handle_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return text == nullptr ? std::string_view{}
                         : std::string_view(reinterpret_cast<const char*>(text), size);
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

double Statement::real(int column) const { return sqlite3_column_double(handle_.get(), column); }

}  // namespace penstock::engine
