#include "store/sqlite_file.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "store/text.h"

namespace penstock::store {
namespace {

constexpr int kLookEach = 10'000;  // steps of SQLite's machine between two looks at the clock

// What is wrong, for penstock_db_errors_total and for who must decide what to do next.
struct Fault {
  int code;
  std::string_view name;
  Kind kind;
  bool retry;
};
constexpr std::array kFaults = {
    Fault{SQLITE_FULL, "full", Kind::exhausted, true},
    Fault{SQLITE_BUSY, "busy", Kind::exhausted, true},
    Fault{SQLITE_LOCKED, "locked", Kind::exhausted, true},
    Fault{SQLITE_NOMEM, "memory", Kind::exhausted, true},
    Fault{SQLITE_IOERR, "io", Kind::unreachable, true},
    Fault{SQLITE_CANTOPEN, "open", Kind::unreachable, true},
    Fault{SQLITE_READONLY, "readonly", Kind::unreachable, true},
    Fault{SQLITE_INTERRUPT, "interrupt", Kind::timeout, true},
    Fault{SQLITE_CONSTRAINT, "constraint", Kind::refused, false},
    Fault{SQLITE_CORRUPT, "corrupt", Kind::internal, false},
    Fault{SQLITE_NOTADB, "corrupt", Kind::internal, false},
};
constexpr Fault kOther = {0, "other", Kind::internal, false};

const Fault& fault_of(int code) {
  const auto* const at = std::find_if(kFaults.begin(), kFaults.end(),
                                      [&](const Fault& one) { return one.code == (code & 0xFF); });
  return at == kFaults.end() ? kOther : *at;
}

// Where $1, $2 ... are for SQLite, which counts parameters in the order in which they first stand.
std::vector<int> places_of(sqlite3_stmt* statement) {
  std::vector<int> places;
  const int count = sqlite3_bind_parameter_count(statement);
  for (int at = 1; at <= count; ++at) {
    const char* const name = sqlite3_bind_parameter_name(statement, at);
    if (name == nullptr || name[0] != '$') continue;
    const auto number = static_cast<std::size_t>(std::atoi(name + 1));
    if (number == 0) continue;
    if (places.size() < number) places.resize(number);
    places[number - 1] = at;
  }
  return places;
}

struct Bind {
  sqlite3_stmt* statement;
  int at;
  int operator()(std::monostate) const { return sqlite3_bind_null(statement, at); }
  int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, at, number); }
  int operator()(double number) const { return sqlite3_bind_double(statement, at, number); }
  int operator()(const std::string& text) const {
    if (storable(text)) {
      return sqlite3_bind_text64(statement, at, text.data(), text.size(), SQLITE_STATIC,
                                 SQLITE_UTF8);
    }
    const std::string made = made_storable(text);
    return sqlite3_bind_text64(statement, at, made.data(), made.size(), SQLITE_TRANSIENT,
                               SQLITE_UTF8);
  }
  int operator()(const Blob& blob) const {
    return sqlite3_bind_blob64(statement, at, blob.bytes.data(), blob.bytes.size(), SQLITE_STATIC);
  }
};

std::string bytes_of(sqlite3_stmt* statement, int column) {
  const void* const bytes = sqlite3_column_blob(statement, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

Value value_of(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT: return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: return bytes_of(statement, column);
    case SQLITE_BLOB: return Blob{bytes_of(statement, column)};
    default: return std::monostate();
  }
}

// Leaves a statement as it may be asked again, whatever became of it.
struct Reset {
  explicit Reset(sqlite3_stmt* to) : statement(to) {}
  Reset(const Reset&) = delete;
  Reset& operator=(const Reset&) = delete;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
  sqlite3_stmt* statement;
};

}  // namespace

void SqliteFile::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void SqliteFile::Close::operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
SqliteFile::~SqliteFile() { kept_.clear(); }

Result<std::unique_ptr<SqliteFile>> SqliteFile::open(const std::string& path, bool writes,
                                                     Meters& meters,
                                                     const std::atomic<bool>& stop) {
  std::unique_ptr<SqliteFile> file(new SqliteFile(path, meters, stop));
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  file->handle_.reset(handle);  // also a failed open gives a handle that must be closed
  if (code != SQLITE_OK) return file->failed(code);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_handler(handle, &SqliteFile::on_busy, file.get());
  sqlite3_progress_handler(handle, kLookEach, &SqliteFile::on_progress, file.get());
  sqlite3_wal_hook(handle, &SqliteFile::on_commit, file.get());
  // The hook takes the place of SQLite's own checkpoints.
  Result<void> set = file->run(
      writes ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; "
               "PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -16384"
             : "PRAGMA query_only = ON; PRAGMA cache_size = -8192");
  if (!set) return set.error();
  return file;
}

Error SqliteFile::failed(int code) {
  const Fault& fault = fault_of(code);
  meters_.failed(fault.name);
  return {fault.kind, Source::store, fault.retry,
          "the database " + path_ + ": " +
              (handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code))};
}

int SqliteFile::on_busy(void* self, int tries) {
  auto& file = *static_cast<SqliteFile*>(self);
  const Time now = Clock::now();
  if (tries == 0) file.busy_since_ = now;
  if (file.stop_.load(std::memory_order_relaxed)) return 0;
  const Duration left = file.busy_since_ + file.patience_ - now;
  if (left <= Duration::zero()) return 0;
  std::this_thread::sleep_for(std::min<Duration>(left, tries < 10 ? 1ms : 10ms));
  return 1;
}

int SqliteFile::on_progress(void* self) {
  const auto& file = *static_cast<const SqliteFile*>(self);
  return file.until_ != Time::max() && Clock::now() >= file.until_ ? 1 : 0;
}

int SqliteFile::on_commit(void* self, sqlite3*, const char*, int pages) {
  static_cast<SqliteFile*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

Result<void> SqliteFile::run(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failed(code);
  return {};
}

Result<SqliteFile::Prepared> SqliteFile::prepare(const Statement& statement) {
  const std::string_view sql = statement.sqlite.empty() ? statement.sql : statement.sqlite;
  sqlite3_stmt* made = nullptr;
  const unsigned flags = statement.once ? 0 : SQLITE_PREPARE_PERSISTENT;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      flags, &made, nullptr);
  if (code != SQLITE_OK) return failed(code);
  return Prepared{std::unique_ptr<sqlite3_stmt, Close>(made), places_of(made)};
}

Result<const SqliteFile::Prepared*> SqliteFile::prepared(const Statement& statement) {
  const auto at = kept_.find(&statement);
  if (at != kept_.end()) return &at->second;
  Result<Prepared> made = prepare(statement);
  if (!made) return made.error();
  return &kept_.emplace(&statement, std::move(*made)).first->second;
}

Result<void> SqliteFile::bind(const Prepared& prepared, std::span<const Value> values) {
  // What goes beyond the places only the other database's text has.
  for (std::size_t i = 0; i < std::min(values.size(), prepared.places.size()); ++i) {
    const int at = prepared.places[i];
    if (at == 0) continue;
    const int code = std::visit(Bind{prepared.handle.get(), at}, values[i]);
    if (code != SQLITE_OK) return failed(code);
  }
  return {};
}

Result<void> SqliteFile::run_kept(const Statement& statement, std::span<const Value> values) {
  Result<const Prepared*> found = prepared(statement);
  if (!found) return found.error();
  sqlite3_stmt* const handle = (*found)->handle.get();
  const Reset reset(handle);
  Result<void> bound = bind(**found, values);
  if (!bound) return bound;
  const int code = sqlite3_step(handle);
  if (code != SQLITE_DONE && code != SQLITE_ROW) return failed(code);
  return {};
}

Result<Rows> SqliteFile::ask(const Statement& statement, const Values& values, Time until) {
  const Time began = Clock::now();
  Prepared once;
  const Prepared* asked = &once;
  if (statement.once) {
    Result<Prepared> made = prepare(statement);
    if (!made) return made.error();
    once = std::move(*made);
  } else {
    Result<const Prepared*> found = prepared(statement);
    if (!found) return found.error();
    asked = *found;
  }
  sqlite3_stmt* const handle = asked->handle.get();
  const Reset reset(handle);
  Result<void> bound = bind(*asked, values);
  if (!bound) return bound.error();
  until_ = until;
  Rows answer;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(handle)) == SQLITE_ROW) {
    Values& row = answer.rows.emplace_back();
    const int columns = sqlite3_data_count(handle);
    row.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) row.push_back(value_of(handle, i));
  }
  until_ = Time::max();
  meters_.asked(statement.name, Clock::now() - began);
  if (code != SQLITE_DONE) return failed(code);
  if (sqlite3_stmt_readonly(handle) == 0) {
    answer.changed = static_cast<std::uint64_t>(sqlite3_changes64(handle_.get()));
  }
  return answer;
}

bool SqliteFile::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

bool SqliteFile::checkpoint(bool whole) {
  int in_log = 0;
  int moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(
      handle_.get(), nullptr, whole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
      &in_log, &moved);
  if (code == SQLITE_OK && whole) log_pages_ = 0;
  if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY) meters_.failed(fault_of(code).name);
  return code == SQLITE_OK;
}

}  // namespace penstock::store
