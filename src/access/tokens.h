// Whose a signed token is (JWT), without asking anybody while a request waits.
//
//   known(token) ── digest, table ──> the caller          a token that was verified, until its end
//        │ null
//        v
//   find(token) ── verify by the set of keys ──> caller, or refused
//                       │ its key is not in the set
//                       v
//                  the set is fetched anew, at most once in ten seconds; then once more
//
// The set (JWKS) is fetched on a loop of its own: at the start, every five minutes, and when a
// token names a key that is not in it. While its source is away the old one stays. It comes over
// https, or from this machine; no redirect is followed, and what a token says of keys is never
// looked at.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "access/jwks.h"
#include "access/jwt.h"
#include "access/key_book.h"
#include "http/client.h"
#include "observe/external.h"

namespace penstock::access {

struct TokensOptions {
  JwtRules rules;
  std::string jwks_url;
  std::string ca;  // a file of certificates; empty: the system's
  CacheScope scope = CacheScope::tenant;
  std::size_t known = 100'000;
  std::size_t refused = 10'000;
  Duration refused_for = 5s;
  Duration refresh = 5min;
  Duration at_most_each = 10s;  // between two fetches
  Duration timeout = 5s;        // of one
  Duration patience = 2s;       // of a request whose key is not in the set
};

class Tokens {
 public:
  // An Error that names the setting: no URL, or one that is neither https nor of this machine.
  // The book says what is known of tenants; it, the registry and the log must outlive it.
  static Result<std::unique_ptr<Tokens>> make(TokensOptions options, const KeyBook& book,
                                              observe::Registry& registry, observe::Log& log);
  Tokens(const Tokens&) = delete;
  Tokens& operator=(const Tokens&) = delete;
  ~Tokens();

  // What it counts, without one: for the reference of metrics.
  static void declare(observe::Registry& registry);

  void start();  // its thread
  // Whose answers are whose, from now on: of tenants that say nothing of it. Any thread.
  void configure(CacheScope scope);

  // Any thread. Null: not known here (yet), or refused.
  CallerPtr known(std::string_view token, WallTime now) const;
  // On any loop.
  Task<Result<CallerPtr, Refused>> find(std::string token, WallTime now, Deadline& deadline);

  // As KeyBook::generation, for callers of tokens.
  std::uint64_t generation() const {
    return book_.generation() + version_.load(std::memory_order_acquire);
  }

 private:
  struct Ask {
    explicit Ask(Loop& loop) : signal(loop) {}
    Signal signal;
  };
  using AskPtr = std::shared_ptr<Ask>;

  Tokens(TokensOptions options, http::PoolOptions source, const KeyBook& book,
         observe::Registry& registry, observe::Log& log);

  static void show(observe::Registry& registry, const std::shared_ptr<Callers>& callers);
  std::shared_ptr<const KeySet> keys() const;
  Result<CallerPtr, Refused> judge(const std::string& token, const Digest& digest, WallTime now,
                                   bool& unknown_key);
  Result<CallerPtr, Refused> caller_of(const Claims& claims, const Digest& digest);

  // On its own loop.
  void ask(AskPtr who);
  Task<void> keep_fetching();
  Task<Result<std::string>> fetch(Deadline& deadline);
  void take_in(const Result<std::string>& fetched);

  const TokensOptions options_;
  const KeyBook& book_;
  observe::Log& log_;
  std::shared_ptr<Callers> callers_;
  std::atomic<CacheScope> scope_;
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex mutex_;            // of keys_
  std::shared_ptr<const KeySet> keys_;  // null: none has come yet

  Loop loop_;
  Signal poke_{loop_};
  std::thread thread_;
  // The loop's.
  http::Pool pool_;
  observe::External external_;
  Deadline until_{loop_, Time::max()};
  std::string text_;  // of the set
  bool fetching_ = false;
  bool failing_ = false;
  Time last_ = Time::min();
  std::vector<AskPtr> waiting_;
};

}  // namespace penstock::access
