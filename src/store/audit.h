// Who changed what and when: one row a change, written in the transaction that makes it, so that
// there is neither a change without a row nor a row without a change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct Note {
  std::string id;  // UUIDv7
  std::int64_t time_us = 0;
  std::string who;     // "admin token from 127.0.0.1:5555", "user root"
  std::string action;  // "key.create"
  std::string object;  // the id of the key, the tenant's name
  std::string detail;  // JSON: what is new; never a secret
  std::string node;
};

// The newest first, behind (before_us, before_id); from the beginning with the largest time.
Task<Result<std::vector<Note>>> list_audit(Database& database, std::int64_t before_us,
                                           std::string before_id, std::int64_t limit,
                                           Deadline& deadline);

// Of a change that is not one of the database.
Task<Result<void>> write_note(Database& database, Note note, Deadline& deadline);

// The first seven values of the statements that write a note.
Values values_of(const Note& note);

// A secret of this name: the one that is kept, or `fresh` from now on, for all nodes alike.
Task<Result<std::string>> kept_secret(Database& database, std::string name, std::string fresh,
                                      Deadline& deadline);

Part audit_statements();

// What every change of keys and tenants begins with: its number, the next of all. The row is locked
// until the transaction's end, so nobody sees a later change without the earlier ones.
extern const Statement kNextChange;

}  // namespace penstock::store
