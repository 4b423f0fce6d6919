// Writes into the audit log what happens to the program itself: that it started, and as which
// version; that its configuration was read again. An incident shows what of this came before it.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "observe/log.h"
#include "store/audit.h"
#include "store/database.h"

namespace penstock::app {

class Chronicle {
 public:
  // Both must outlive it.
  Chronicle(store::Database& database, observe::Log& log) : database_(database), log_(log) {}
  Chronicle(const Chronicle&) = delete;
  Chronicle& operator=(const Chronicle&) = delete;
  // What is not written by then is not written.
  ~Chronicle();

  // Written when the database takes it, within the hour, by a thread that is there while something
  // is to be written; the log has it in any case. The same again, while it waits, is one. Any
  // thread. `detail`: JSON.
  void note(std::string action, std::string object, std::string detail);

 private:
  void write_on();

  store::Database& database_;
  observe::Log& log_;
  std::mutex mutex_;  // of all below
  std::condition_variable wake_;
  std::deque<store::Note> notes_;
  bool writing_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace penstock::app
