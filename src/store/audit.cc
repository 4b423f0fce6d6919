#include "store/audit.h"

#include <array>

#include "store/cells.h"

namespace penstock::store {
namespace {

constexpr Statement kList = {
    "list_audit",
    "SELECT id, time_us, who, action, object, detail, node FROM audit WHERE time_us <= $1 AND "
    "(time_us < $1 OR id < $2) ORDER BY time_us DESC, id DESC LIMIT $3",
    {},
    true};
constexpr Statement kWrite = {"write_audit",
                              "INSERT INTO audit (id, time_us, who, action, object, detail, node) "
                              "VALUES ($1, $2, $3, $4, $5, "
                              "$6, $7) ON CONFLICT DO NOTHING",
                              {},
                              false,
                              true};
constexpr Statement kKeepSecret = {
    "keep_secret",
    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
    {},
    false,
    true};
constexpr Statement kSecret = {"secret", "SELECT value FROM meta WHERE name = $1", {}, true};

}  // namespace

constinit const Statement kNextChange = {
    "next_change", "UPDATE counters SET value = value + 1 WHERE name = 'changes'"};

Values values_of(const Note& note) {
  return {note.id, note.time_us, note.who, note.action, note.object, note.detail, note.node};
}

Task<Result<std::vector<Note>>> list_audit(Database& database, std::int64_t before_us,
                                           std::string before_id, std::int64_t limit,
                                           Deadline& deadline) {
  Values values = {before_us, std::move(before_id), limit};
  Result<Rows> rows = co_await database.read(kList, std::move(values), Mark(), deadline);
  if (!rows) co_return rows.error();
  std::vector<Note> notes;
  for (const Values& row : rows->rows) {
    notes.push_back(Note{text_of(row[0]), number_of(row[1]), text_of(row[2]), text_of(row[3]),
                         text_of(row[4]), text_of(row[5]), text_of(row[6])});
  }
  co_return notes;
}

Task<Result<void>> write_note(Database& database, Note note, Deadline& deadline) {
  Values values = values_of(note);
  Result<Rows> written = co_await database.write(kWrite, std::move(values), nullptr, deadline);
  if (!written) co_return written.error();
  co_return Result<void>();
}

Task<Result<std::string>> kept_secret(Database& database, std::string name, std::string fresh,
                                      Deadline& deadline) {
  Values ask = {name};
  Result<Rows> known = co_await database.write(kSecret, ask, nullptr, deadline);
  if (!known) co_return known.error();
  if (known->rows.empty()) {
    Values keep = {name, Blob{std::move(fresh)}};
    Result<Rows> kept = co_await database.write(kKeepSecret, std::move(keep), nullptr, deadline);
    if (!kept) co_return kept.error();
    // Another node may have been faster: what is kept is what holds.
    known = co_await database.write(kSecret, std::move(ask), nullptr, deadline);
    if (!known) co_return known.error();
  }
  if (known->rows.empty()) {
    co_return Error{Kind::internal, Source::store, false, "the database keeps no secret"};
  }
  co_return text_of(known->rows.front().front());
}

Part audit_statements() {
  static constexpr std::array kAll = {&kList, &kWrite, &kKeepSecret, &kSecret, &kNextChange};
  return kAll;
}

}  // namespace penstock::store
