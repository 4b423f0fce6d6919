// Writes into the audit log what happens to the program itself: that it started, and as which
// version; that its configuration was read again. An incident shows what of this came before it.
#pragma once

#include <string>
#include <thread>

#include "base/loop.h"
#include "base/task.h"
#include "observe/log.h"
#include "store/audit.h"
#include "store/database.h"

namespace penstock::app {

class Chronicle {
 public:
  // Both must outlive it.
  Chronicle(store::Database& database, observe::Log& log);
  Chronicle(const Chronicle&) = delete;
  Chronicle& operator=(const Chronicle&) = delete;
  // What is not written by then is not written.
  ~Chronicle();

  // Written when the database takes it, within the hour; the log has it in any case. Any thread.
  // `detail`: JSON.
  void note(std::string action, std::string object, std::string detail);

 private:
  Task<void> write(store::Note note);

  store::Database& database_;
  observe::Log& log_;
  Loop loop_;
  std::thread thread_;
};

}  // namespace penstock::app
