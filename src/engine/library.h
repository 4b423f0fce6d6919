// A folder of Markdown and text, kept searchable while its files change.
//
//   files --keeper thread--> passages --> SQLite FTS5 (a private file) <--searchers-- questions
//
// One keeper thread reads the folder, follows its changes (inotify, or a look every few seconds
// where that is not to be had) and writes the index; two searchers answer questions that loops
// put into a queue. Questions that come before the first reading is over wait for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/signal.h"
#include "engine/passages.h"
#include "engine/sqlite.h"
#include "observe/log.h"

namespace penstock::engine {

// A passage that answers a question.
struct Finding {
  std::string source;  // the file, relative to the folder
  Passage passage;
};

class Library {
 public:
  // The error names the folder: missing, no folder, not readable.
  static Result<std::shared_ptr<Library>> open(const std::string& folder, observe::Log& log);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // The best passages for a question, best first, at most three. None: nothing fits.
  Task<Result<std::vector<Finding>>> search(std::string question, Deadline& deadline);

  // Grows with every change of what is found.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool read_once() const { return read_once_.load(std::memory_order_acquire); }
  std::uint64_t passages() const { return passages_.load(std::memory_order_relaxed); }
  std::uint64_t files() const { return files_.load(std::memory_order_relaxed); }
  const std::string& folder_name() const { return name_; }

 private:
  // A question under way; its asker may have left when it is answered.
  struct Asked {
    Asked(std::string text, Loop& loop) : question(std::move(text)), done(loop) {}
    const std::string question;
    Signal done;
    std::mutex mutex;
    std::optional<Result<std::vector<Finding>>> result;
  };
  class Keeper;

  Library(std::string folder, observe::Log& log);
  Result<void> open_index();
  void keep();
  void serve(Database database);
  static Result<std::vector<Finding>> find(Statement& statement, const std::string& question);

  const std::string folder_;  // as configured
  const std::string name_;    // its last part: what a client is told
  observe::Log& log_;
  std::string index_path_;
  std::unique_ptr<Database> writer_;
  std::atomic<std::uint64_t> version_{1};
  std::atomic<std::uint64_t> passages_{0};
  std::atomic<std::uint64_t> files_{0};
  std::atomic<bool> read_once_{false};

  std::mutex mutex_;  // of queue_ and stopping_
  std::condition_variable more_;
  std::deque<std::shared_ptr<Asked>> queue_;
  bool stopping_ = false;
  int stop_event_ = -1;  // wakes the keeper
  std::vector<std::thread> threads_;
};

}  // namespace penstock::engine
