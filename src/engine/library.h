// A folder of Markdown and text, kept searchable while its files change.
//
//   files --keeper thread--> passages --> SQLite FTS5 (a private file) <--searchers-- questions
//
// One keeper thread reads the folder, follows its changes and writes the index; two searchers
// answer questions that loops put into a queue. Questions that come before the first reading is
// over wait for it. A folder that goes leaves its index behind: answers come from there until it
// is back.
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
  std::int64_t row = 0;  // grows with the passage's place in its file
};

class Library {
 public:
  // The error names the folder: missing, no folder, not readable.
  static Result<std::shared_ptr<Library>> open(const std::string& folder, observe::Log& log);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // The best passages for a question, at most three. Best first, but those of one section together
  // and in their order. None: nothing fits.
  Task<Result<std::vector<Finding>>> search(std::string question, Deadline& deadline);

  // A digest of the names and contents of what is indexed: the same for the same files, whichever
  // machine or process reads them. Before the first reading is over, and while the index changes,
  // it is a number that was never there before.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  enum class State : std::uint8_t {
    good,
    reading,  // for the first time
    gone,     // the folder cannot be read: what is answered is what it held before
    failed    // the index cannot be written: what is answered is what was indexed before
  };
  State state() const { return state_.load(std::memory_order_acquire); }
  // Whether questions can be answered, be it from an index that is behind.
  bool read_once() const { return read_once_.load(std::memory_order_acquire); }
  std::uint64_t passages() const { return passages_.load(std::memory_order_relaxed); }
  std::uint64_t files() const { return files_.load(std::memory_order_relaxed); }
  std::uint64_t left_out() const { return left_out_.load(std::memory_order_relaxed); }

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
  void set_state(State state);
  void serve(Statement statement);
  static Result<std::vector<Finding>> find(Statement& statement, const std::string& question);

  const std::string folder_;  // as configured
  const std::string name_;    // its last part: what a client is told
  observe::Log& log_;
  std::unique_ptr<Keeper> keeper_;
  std::vector<Database> readers_;
  std::atomic<std::uint64_t> version_;
  std::atomic<std::uint64_t> passages_{0};
  std::atomic<std::uint64_t> files_{0};
  std::atomic<std::uint64_t> left_out_{0};
  std::atomic<State> state_{State::reading};
  std::atomic<bool> read_once_{false};

  std::mutex mutex_;  // of queue_ and stopping_
  std::condition_variable more_;
  std::deque<std::shared_ptr<Asked>> queue_;
  bool stopping_ = false;
  int stop_event_ = -1;  // wakes the keeper
  std::vector<std::thread> threads_;
};

}  // namespace penstock::engine
