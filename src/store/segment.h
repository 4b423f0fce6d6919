// A file of records that is written through a mapping: what stands in it survives the end of the
// process, however it ends, without a call of the kernel.
//
//   0     magic "PnstkSeg" · version · size of the head · size of the file · run · number · check
//   64    tail: where the last whole record ends        stored with release order, after the record
//   128   done: up to here all is in the database       written by the ledger's thread alone
//   256   record, record, ...
//
//   record, on a multiple of 8:
//     length of the payload, 4 · kind, 2 · lines, 2 · check of the payload (XXH3), 8
//     payload
//     `lines` of 64 bytes on a multiple of 64, which may change after the record is committed
//     (the counters of a sum, record.h); the check is not of them
//
// A reader goes from record to record up to the tail, and knows by length and lines how far the
// next one is even if it does not know the kind. Behind the tail is whatever was there. After a
// power failure pages may be missing: then the check of a record says so. Numbers are little
// endian.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::store {

inline constexpr std::size_t kSegmentHead = 256;
inline constexpr std::size_t kRecordHead = 16;
inline constexpr std::size_t kLine = 64;
// Of one file; a larger one is not ours.
inline constexpr std::size_t kMostSegment = 64 * 1024 * 1024;

struct Record {
  std::uint16_t kind = 0;
  std::string_view payload;
  std::string_view lines;
};

// What stands at a place of a segment.
enum class Found : std::uint8_t {
  record,
  end,      // the tail
  damaged,  // a record whose check fails; the next one can be read
  lost,     // what stands here has no sensible length: the rest cannot be read
};

// Reads the record at `at` and moves `at` behind it. Of any bytes: reads nothing outside of
// `bytes`.
Found read_record(std::string_view bytes, std::size_t tail, std::size_t& at, Record& record);

struct SegmentHead {
  enum class What : std::uint8_t {
    good,
    empty,    // nothing was ever written
    version,  // made by another version of the program
    damaged,
  };
  What what = What::damaged;
  std::uint32_t version = 0;
  std::size_t tail = kSegmentHead;  // of a good one: within the bytes
  std::size_t done = kSegmentHead;  // of a good one: at most the tail
};
SegmentHead read_head(std::string_view bytes);

// One that is being written. One thread writes records, another reads them.
class Segment {
 public:
  // Makes the file, with all of its blocks. `bytes` is rounded up to whole pages.
  static Result<std::unique_ptr<Segment>> create(std::string path, std::size_t bytes,
                                                 std::uint64_t run, std::uint64_t number);
  // The same without a file, for when the disk is full. Null: there is no memory either.
  static std::unique_ptr<Segment> in_memory(std::size_t bytes, std::uint64_t run,
                                            std::uint64_t number);
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  ~Segment();  // the file stays

  // ---- the writer ----
  // Room for a record's payload (and its lines behind it, zero); null: it is full.
  char* begin(std::uint16_t kind, std::size_t payload, std::uint16_t lines);
  // Where the lines of the record that was begun are. REQUIRES: begun with lines.
  char* lines() const { return data_ + lines_at_; }
  // The record that was begun is whole.
  void commit();

  // ---- the reader ----
  std::size_t tail() const { return cell(kTailAt)->load(std::memory_order_acquire); }
  std::string_view bytes() const { return {data_, size_}; }
  void set_done(std::size_t done) const { cell(kDoneAt)->store(done, std::memory_order_release); }

  std::size_t size() const { return size_; }
  std::size_t asked() const { return asked_; }  // the size that it was made with
  std::size_t begun() const { return begun_; }  // where the record is that was begun last
  bool durable() const { return file_ >= 0; }
  const std::string& path() const { return path_; }
  // What was committed is on the disk afterwards.
  Result<void> sync() const;
  // Makes its pages ready, so that the writer waits for none of them: the first write to a page of
  // a file after it was made, or synced, is a fault, which costs more than all rows of a page.
  void warm() const;
  // Empties it, to be written again.
  void reuse(std::uint64_t number);
  void remove() const;

 private:
  static constexpr std::size_t kTailAt = 64;
  static constexpr std::size_t kDoneAt = 128;

  Segment(std::string path, int file, char* data, std::size_t size, std::size_t asked,
          std::uint64_t run)
      : path_(std::move(path)), file_(file), data_(data), size_(size), asked_(asked), run_(run) {}
  std::atomic<std::uint64_t>* cell(std::size_t at) const {
    return reinterpret_cast<std::atomic<std::uint64_t>*>(data_ + at);
  }
  void write_head(std::uint64_t number);

  std::string path_;  // empty: in memory
  int file_;
  char* data_;
  std::size_t size_;
  std::size_t asked_;
  std::uint64_t run_;
  std::size_t begun_ = 0;     // where the record that is being written begins
  std::size_t lines_at_ = 0;  // its lines
  std::size_t next_ = 0;      // and its end
};

}  // namespace penstock::store
