// What is sent and when: the questions, how often each is asked, and the times of an open loop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/uuid.h"

namespace penstock::load {

struct Options;

// Picks 0 .. n-1 where rank k has a probability in proportion to 1 / (k+1)^exponent, in constant
// time: the alias method (Walker 1977, in Vose's form of 1991).
class Zipf {
 public:
  // REQUIRES: n > 0, exponent >= 0.
  Zipf(std::uint32_t n, double exponent);

  std::uint32_t pick(Random& random) const;

 private:
  struct Column {
    double keep;          // the probability of staying in this column
    std::uint32_t other;  // where to go else
  };
  std::vector<Column> columns_;
};

// The times at which one of `shares` threads sends in an open loop: each `shares`-th of a constant
// rate's. It does not know what time it is: what is overdue stays due.
class Schedule {
 public:
  // REQUIRES: rate > 0, share < shares.
  Schedule(Time start, double rate, unsigned share, unsigned shares);

  Time next() const { return next_; }  // when the next request is meant to be sent
  void advance();                      // it was sent, or given up

 private:
  Time at(std::uint64_t number) const;

  Time start_;
  double interval_ns_;
  std::uint64_t shares_;
  std::uint64_t number_;
  Time next_;
};

// Where the requests go.
struct Target {
  std::string host;  // as in the URL, for the Host field
  std::string port;
  std::string path;  // "/v1/chat/completions" behind the URL's own path
};
// http://HOST[:PORT][/PATH], with or without /v1 at the end.
Result<Target> parse_target(std::string_view url);

// The bytes of one request, head included: `front`, then `tail`.
struct Request {
  std::string_view front;
  std::string_view tail;
};

// All requests, ready to send. Shared by the threads; changes nothing once it is made.
class Plan {
 public:
  // Reads options.file where there is one.
  static Result<Plan> make(const Options& options, const Target& target);

  std::uint32_t size() const { return static_cast<std::uint32_t>(fronts_.size()); }

  // The request for question `index`. REQUIRES: index < size().
  Request request(std::uint32_t index) const { return {fronts_[index], tail_}; }

  // The same with a number written into its question, so that no two are equal; `scratch` holds
  // the bytes until the request is sent. REQUIRES: made with options.unique.
  Request unique(std::uint64_t number, std::string& scratch) const;

 private:
  std::vector<std::string> fronts_;
  std::string tail_;           // what large bodies have in common: kept once
  std::size_t number_at_ = 0;  // in fronts_[0]: where `unique` writes its digits
};

}  // namespace penstock::load
