// Where rows wait for the database: a folder with a chain of segments for each writer.
//
//   a worker ── begin, commit ──> [segment]─[segment]─[segment] + a spare one, made ahead
//                                  ^ read                ^ written
//                                  the ledger's thread takes what is there, and only when it is in
//                                  the database goes on; a segment that is read is used again
//
// All together are bounded, in records and in bytes: what is older stays, what comes newer is
// refused, and whoever brought it counts that. A disk that is full is noticed when a segment is
// made; the chain then goes on in memory, within a bound of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/segment.h"

namespace penstock::store {

struct SpoolOptions {
  std::string folder;
  std::uint64_t records = 100'000;
  std::uint64_t bytes = 256 * 1024 * 1024;
  std::uint64_t memory = 32 * 1024 * 1024;  // of it, what is in memory while there is no disk
};

struct SpoolCounts {
  std::atomic<std::uint64_t> records{0};  // that wait
  std::atomic<std::uint64_t> dropped{0};  // rows, and hits, that there was no room for
};

// The folder, and what all chains in it share. Any thread.
class SpoolFolder {
 public:
  explicit SpoolFolder(SpoolOptions options);
  SpoolFolder(const SpoolFolder&) = delete;
  SpoolFolder& operator=(const SpoolFolder&) = delete;
  ~SpoolFolder();

  // Makes the folder where it is missing, and takes a place in it that no other process has: a
  // program that ends and the one that takes over from it may run side by side. Places that were
  // left behind are taken too, for what lies in them.
  Result<void> open();
  // The files of earlier runs, oldest first.
  std::vector<std::string> left() const;
  const std::string& path() const { return options_.folder; }

  // A file, or memory while no file can be had; null where the bounds do not allow it.
  std::unique_ptr<Segment> make(std::size_t bytes);
  // The same, but a file or nothing.
  std::unique_ptr<Segment> make_file(std::size_t bytes);
  // Removes its file.
  void discard(std::unique_ptr<Segment> segment);
  // Puts a file where it is not read again and somebody can look at it; the name it has then.
  std::string set_aside(const std::string& path);
  // Keeps a record that the database will never take, for somebody to look at.
  bool keep_refused(const Record& record);
  // What was made or removed in the folder is on the disk afterwards.
  void sync();

  // One more record; false: there are too many, and it is counted as dropped.
  bool take_record() {
    if (counts_->records.fetch_add(1, std::memory_order_relaxed) < options_.records) return true;
    drop_record();
    return false;
  }
  void add_records(std::uint64_t count) { counts_->records.fetch_add(count); }
  void give_records(std::uint64_t count) { counts_->records.fetch_sub(count); }
  // There was no room for one that was taken.
  void drop_record() {
    counts_->records.fetch_sub(1, std::memory_order_relaxed);
    counts_->dropped.fetch_add(1, std::memory_order_relaxed);
  }
  std::shared_ptr<const SpoolCounts> counts() const { return counts_; }

  // Why the last file could not be made; empty: it could.
  std::string trouble() const;
  std::uint64_t next_number() { return number_.fetch_add(1, std::memory_order_relaxed) + 1; }

 private:
  Result<bool> take_place(const std::string& path, int& holder);
  std::string name_for(std::uint64_t number, std::string_view ending) const;

  const SpoolOptions options_;
  std::uint64_t run_ = 0;
  std::string prefix_;  // of the files of this run
  std::vector<std::string> places_;  // the folder, or "<folder>/2" ...; the first is written to
  std::vector<int> locks_;           // of them
  int directory_ = -1;
  std::atomic<std::uint64_t> number_{0};
  const std::shared_ptr<SpoolCounts> counts_ = std::make_shared<SpoolCounts>();
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> memory_{0};
  std::atomic<bool> changed_{false};  // the folder, since it was synced
  mutable std::mutex mutex_;          // of the rest
  std::string trouble_;
  std::unique_ptr<Segment> refused_;
  unsigned refused_files_ = 0;
};

// One chain: one thread writes, the ledger's reads.
class Spool {
 public:
  Spool(SpoolFolder& folder, std::size_t segment_bytes)
      : folder_(folder), segment_bytes_(segment_bytes) {}
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Held while something is written or changed; nobody holds it for long.
  std::mutex& mutex() { return mutex_; }

  // ---- the writer; REQUIRES: the mutex is held ----
  // As Segment's, in the last segment of the chain or a new one. Null: there is no room.
  char* begin(std::uint16_t kind, std::size_t payload, std::uint16_t lines);
  char* lines() const { return links_.back().segment->lines(); }
  void commit();
  // From the record that was begun on nothing is read, until `release`.
  void hold();
  void release() { held_.reset(); }
  bool holds() const { return held_.has_value(); }
  // Something that was committed has been changed.
  void touch() { touched_ = true; }

  // ---- the ledger's thread ----
  // Records of the first segment that wait to be read.
  struct Part {
    Segment* segment = nullptr;
    std::size_t from = 0;
    std::size_t to = 0;
  };
  Part part();
  // Up to there the first segment is done with.
  void advance(std::size_t to);
  // Part of the first segment cannot be read: its file is kept.
  void mark_damaged();
  // Makes the next segment ahead, so that the writer need not.
  void prepare();
  // What was written is on the disk afterwards. The first error.
  Result<void> sync();
  // Removes the files if all is done with. REQUIRES: nobody writes any more.
  void finish();
  // Where files went that are kept, since this was asked last.
  std::vector<std::string> take_kept();

 private:
  struct Link {
    std::unique_ptr<Segment> segment;
    std::uint64_t number;
    bool damaged = false;
    bool settled = false;  // nothing will change in it, and it is on the disk
  };
  struct Place {
    std::uint64_t number;
    std::size_t at;
  };

  bool grow(std::size_t payload, std::uint16_t lines);
  void dispose(Link link);

  SpoolFolder& folder_;
  const std::size_t segment_bytes_;
  std::mutex mutex_;
  std::deque<Link> links_;  // changed under the mutex; taken from by the ledger's thread alone
  std::unique_ptr<Segment> spare_;
  std::optional<Place> held_;
  std::uint64_t made_ = 0;
  bool touched_ = false;
  std::size_t read_ = kSegmentHead;  // of the first; the ledger's thread's
  std::vector<std::string> kept_;    // likewise
};

}  // namespace penstock::store
