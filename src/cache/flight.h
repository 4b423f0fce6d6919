// Equal questions under way share one engine call.
//
//   driver --head, append...--> [ blocks ] --> reader, from the beginning     on any worker
//                                          --> reader, joined later           the same
//
// A Flight is an answer in progress. One coroutine drives it; whoever asked reads it as a Flow.
// Bytes once appended never change, so readers send them without a lock held. The driver waits
// for the slowest reader when more than a window is ahead of it, and so memory is bounded; a
// flight whose beginning is gone takes no new readers. When the last reader leaves before the end
// the driver is told.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/signal.h"
#include "cache/key.h"
#include "exchange/exchange.h"
#include "observe/metrics.h"
#include "trace/context.h"

namespace penstock::cache {

class FlightTable;
class Flight;
using FlightPtr = std::shared_ptr<Flight>;

class Flight : public std::enable_shared_from_this<Flight> {
 public:
  struct Head {
    int status = 200;
    std::string content_type;
    std::vector<Header> headers;
    std::optional<std::uint64_t> length;
    bool elsewhere = false;   // no engine was asked: another node was, or another call had ended
    std::uint64_t purge = 0;  // the last one that was known when the engine was asked
  };

  Flight(FlightTable& table, const Key& key, std::uint64_t window, std::uint64_t purge);
  // The last purge that was known when it began.
  std::uint64_t purge() const { return purge_; }
  // Whose call it is, for the traces of those who wait for it. Any thread.
  void led_by(const trace::Context& context);
  trace::Context leader();

  // The driver's side, on one loop. `abandoned` is called on that loop when nobody reads any more.
  void drive(Loop& loop, std::function<void()> abandoned);
  void head(Head head);
  void append(std::string bytes);
  // Waits until the slowest reader is less than a window behind. One that is no faster for a second
  // while others have read on is dropped: it must not hold them up.
  Task<Result<void>> room(Deadline& deadline);
  // Ends it. New questions are no longer joined to it.
  void finish() { end(std::nullopt); }
  void fail(Error error) { end(std::move(error)); }

 private:
  friend class FlightTable;
  friend class Reader;
  using Block = std::shared_ptr<const std::string>;

  void end(std::optional<Error> error);
  void wake_readers();
  void trim();
  void drop_slowest();

  FlightTable& table_;
  const Key key_;
  const std::uint64_t window_;
  const std::uint64_t purge_;

  std::mutex succession_;  // of successor_; taken before all others
  FlightPtr successor_;

  std::mutex mutex_;  // of everything below
  std::optional<Head> head_;
  std::deque<Block> blocks_;
  std::uint64_t first_block_ = 0;  // number of blocks_.front()
  std::uint64_t buffered_ = 0;     // bytes in blocks_
  bool ended_ = false;
  std::optional<Error> error_;
  trace::Context leader_;
  bool joinable_ = true;
  bool kept_going_ = false;  // also where nobody reads it
  struct Seat {
    const Signal* signal;
    std::uint64_t next_block;
    bool dropped = false;
  };
  std::vector<Seat*> seats_;
  std::optional<Signal> driver_;
  std::function<void()> abandoned_;
  Loop* driver_loop_ = nullptr;
};

// One who reads a flight, on one loop. Leaves it when it is destroyed.
class Reader final : public Flow {
 public:
  Reader(FlightPtr flight, Loop& loop);  // by FlightTable::join
  ~Reader() override;

  // The answer's head, as soon as there is one.
  Task<Result<Flight::Head>> head(Deadline& deadline);
  std::optional<Result<std::string_view>> poll() override;
  Task<Result<void>> wait(Deadline& deadline) override;

 private:
  friend class FlightTable;
  FlightPtr flight_;
  Signal signal_;
  Flight::Seat seat_;
  Flight::Block held_;  // what poll() gave out
};

class FlightTable {
 public:
  // `window`: bytes that a flight keeps for readers that are slower than its driver.
  explicit FlightTable(std::uint64_t window) : window_(window) {}

  struct Joined {
    FlightPtr flight;
    std::unique_ptr<Reader> reader;
    bool leader = false;  // nobody asked yet: drive it
  };
  // `purge`: the last one that is known, for a flight that begins.
  Joined join(const Key& key, Loop& loop, std::uint64_t purge = 0);
  // For those who followed a flight that failed, or who may not join it: one and the same successor
  // for all of them, however late they come, begun by the first.
  Joined succeed(Flight& failed, Loop& loop, std::uint64_t purge = 0);
  // One that nobody reads yet, and that comes to its end also where nobody does; null if there is
  // one under way already.
  FlightPtr begin(const Key& key, std::uint64_t purge = 0);
  // One more who reads a flight from its beginning; null where that is gone.
  std::unique_ptr<Reader> watch(const FlightPtr& flight, Loop& loop);
  // A flight of one's own, that nobody else joins.
  Joined alone(const Key& key, Loop& loop, std::uint64_t purge = 0);

  std::size_t size() const;

 private:
  friend class Flight;
  friend class Reader;
  static constexpr std::size_t kShards = 16;
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Shard {
    mutable std::mutex mutex;  // taken before a flight's
    std::unordered_map<Key, FlightPtr, KeyHash> flights;
  };

  Joined join(const Key& key, Loop& loop, const Flight* failed, std::uint64_t purge);
  Shard& shard_of(const Key& key) { return shards_[key[16] % kShards]; }
  void remove(Flight& flight);
  void leave(Flight& flight, Flight::Seat& seat);

  const std::uint64_t window_;
  std::array<Shard, kShards> shards_;
};

}  // namespace penstock::cache
