// The master of a service, as the sentinels know it
// (https://redis.io/docs/reference/sentinel-clients/).
//
//   open: ask one sentinel after the other ─> master's address ─> connect ─> "role: master"?
//
// Nothing is remembered between two connections but which sentinel answered last: it is asked
// first.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/signal.h"
#include "redis/origin.h"
#include "redis/subscriber.h"

namespace penstock::redis {

// Belongs to a loop.
class Sentinels final : public Origin {
 public:
  // `sentinels`: their own addresses and passwords. `master`: how the service is spoken to,
  // wherever it is; its host and port say nothing. REQUIRES: at least one sentinel.
  Sentinels(Loop& loop, std::vector<Server> sentinels, std::string service, Server master);

  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override;
  void doubt() override {}  // they are asked anyway
  std::string place() const override { return place_; }

  // Where the master is; only host and port of it are their answer.
  Task<Result<Url>> find(Deadline& deadline);
  // A connection to one of them.
  Task<Result<std::shared_ptr<Connection>>> open_sentinel(const Connection::Use& use,
                                                          Deadline& deadline);

 private:
  static Time share(Deadline& deadline, std::size_t left);
  static Error told_by(const OneServer& sentinel, Error error);
  void prefer(const std::shared_ptr<OneServer>& sentinel);
  Task<Result<Url>> find_by(OneServer& sentinel, Deadline& deadline);

  Loop& loop_;
  std::deque<std::shared_ptr<OneServer>> sentinels_;
  const std::string service_;
  const Server master_;
  std::string place_;  // for logs: the last master's, or the service
};

// Says where the master is, whenever a sentinel says that there is another one, and each few
// seconds without being told: a master that was cut off with us does not know that it is none, and
// one that is left on purpose takes writes for a while that nobody will see.
class MasterWatch final : public std::enable_shared_from_this<MasterWatch> {
 public:
  static constexpr Duration kEach = 5s;

  // `there` is called with host and port until stop().
  MasterWatch(Loop& loop, std::shared_ptr<Sentinels> sentinels, Duration connect_timeout,
              std::function<void(const std::string& place)> there);
  void start();
  void stop();

 private:
  static Task<void> run(std::shared_ptr<MasterWatch> self);
  Task<void> wait();
  Task<Result<Url>> find();

  Loop& loop_;
  const std::shared_ptr<Sentinels> sentinels_;
  const Duration connect_timeout_;
  const std::function<void(const std::string&)> there_;
  Deadline until_;
  Signal said_;
  const std::shared_ptr<Subscriber> subscriber_;
};

}  // namespace penstock::redis
