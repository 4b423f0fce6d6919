// The semantic index in a file, so that a gateway that is started anew knows its questions.
//
//   "PENSEM" version 2 | checksum 8 | item...
//
//   item: scope, place, each with its length in 4 bytes before it; key 32; used 8; dimensions 4;
//   vector: dimensions x 4, float
//
// Numbers are little endian. The checksum (XXH3) is of all behind it. A file that is damaged, of
// another version or of something else is a cold start, never an error of the gateway. Graphs are
// not in it: they are made again of the vectors.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "cache/semantic.h"

namespace penstock::cache {

inline constexpr std::string_view kSemanticFile = "semantic.index";

// Writes all of it into the folder, which is made if it is not there: beside what is there, which
// it takes the place of at the end. Reads the index some vectors at a time. An Error of
// Source::gateway says what the system said.
Result<void> save(const SemanticIndex& index, const std::string& folder);

// Adds what the folder has, in the order in which it was used; how many vectors. 0: there is no
// file. An Error: what is there is no index of ours, and nothing was added.
Result<std::size_t> load(SemanticIndex& index, const std::string& folder);

// Loads an index when it begins, and saves it now and then and at the end: on a thread of its own.
class SemanticKeeper {
 public:
  // `warn`: of what is no index, or cannot be written; from any thread.
  SemanticKeeper(SemanticIndex& index, std::string folder, std::function<void(const Error&)> warn);
  SemanticKeeper(const SemanticKeeper&) = delete;
  SemanticKeeper& operator=(const SemanticKeeper&) = delete;
  ~SemanticKeeper();

 private:
  void run();
  void save_changes();

  SemanticIndex& index_;
  const std::string folder_;
  const std::function<void(const Error&)> warn_;
  std::uint64_t saved_ = 0;  // the change that was the last one
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::cache
