// Redis, as the program uses it: commands, scripts and channels on one loop.
//
//   call ─> the key's server ─> breaker ─> the connection with the shortest line ─> Redis
//                                 (connections come back by themselves, 50 ms .. 5 s apart)
//
//   const std::array<std::string_view, 2> words = {"GET", key};
//   Result<Value> value = co_await client->call(words, deadline);
//
// Nobody waits longer than `Options::timeout`, and while Redis is away nobody waits at all
// (ADR 14). What Redis answers with an error is an Error: of kind unreachable where it serves
// nobody just now, or has no memory left to write; of kind refused otherwise.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/loop.h"
#include "observe/log.h"
#include "redis/command.h"
#include "redis/metrics.h"
#include "redis/options.h"
#include "redis/read.h"
#include "redis/script.h"
#include "redis/value.h"

namespace penstock::redis {

class Fleet;

// Belongs to a loop; one a thread.
class Client {
 public:
  // Does not connect yet to find out: an Error is one of the options.
  static Result<std::unique_ptr<Client>> make(Loop& loop, const Options& options,
                                              const Metrics& metrics, observe::Log& log);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Calls under way end with an Error.
  ~Client();

  // False while calls fail at once because Redis was found to be away. Costs a look at two fields.
  bool available(Time now) const;
  bool available() const { return available(Clock::now()); }

  // What the words refer to must stay until it returns. Commands of one caller that must be done in
  // their order are awaited one by one: connections are several.
  Task<Result<Value>> call(Words words, Deadline& deadline);
  // Several commands in one go, in their order, on one connection; `key`: what they are about.
  // Words and key must stay until it returns. An Error as of call() if one of them finds Redis
  // unavailable; others may have been done, and all may be done twice where a cluster moves the key
  // meanwhile.
  Task<Result<Read>> read(std::span<const Words> commands, std::string_view key,
                          Deadline& deadline);
  // As one step on the server. The script must outlive the call.
  Task<Result<Value>> eval(const Script& script, Words keys, Words arguments, Deadline& deadline);
  // Nobody waits for the answer, and nobody is told when it is lost.
  void tell(Words words);

  // Messages of the channel from now on, for as long as the client lives; on a connection of its
  // own that comes back. `subscribed` is told of the first subscription and of each new one: what
  // was said meanwhile was missed.
  void subscribe(const std::string& channel, std::function<void(std::string_view)> heard,
                 std::function<void()> subscribed = {});

  // Why it is away, for health and logs: empty where nothing is known against it.
  const std::string& trouble() const;
  unsigned connections() const;  // ready for commands

 private:
  explicit Client(std::shared_ptr<Fleet> fleet) : fleet_(std::move(fleet)) {}
  std::shared_ptr<Fleet> fleet_;
};

}  // namespace penstock::redis
