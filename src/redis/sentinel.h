// The master of a service, as the sentinels know it
// (https://redis.io/docs/reference/sentinel-clients/).
//
//   open: ask one sentinel after the other ─> master's address ─> connect ─> "role: master"?
//
// Nothing is remembered between two connections but which sentinel answered last: it is asked
// first.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "redis/origin.h"

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
  struct Sentinel {
    Server server;
    net::Addresses addresses;
  };
  static Time share(Deadline& deadline, std::size_t left);
  static Error told_by(const Sentinel& sentinel, Error error);
  void prefer(const std::shared_ptr<Sentinel>& sentinel);
  Task<Result<Url>> find_by(Sentinel& sentinel, Deadline& deadline);

  Loop& loop_;
  std::deque<std::shared_ptr<Sentinel>> sentinels_;
  const std::string service_;
  const Server master_;
  std::string place_;  // for logs: the last master's, or the service
};

// Whichever of them is there: for what they all say (+switch-master).
class AnySentinel final : public Origin {
 public:
  explicit AnySentinel(std::shared_ptr<Sentinels> of) : of_(std::move(of)) {}
  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override {
    Result<std::shared_ptr<Connection>> opened = co_await of_->open_sentinel(use, deadline);
    co_return opened;
  }
  void doubt() override {}
  std::string place() const override { return "sentinel"; }

 private:
  const std::shared_ptr<Sentinels> of_;
};

}  // namespace penstock::redis
