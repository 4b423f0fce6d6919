// One connection to Redis: commands go out in batches, answers come back in their order.
//
//   send ─> outbox ──one write a turn of the loop──> Redis
//   call <─ line of those who wait <──one by one──── parser <── reads
//                                   pushes ─> owner
//
// An answer belongs to whoever stands first in the line; who has left (the client went away) leaves
// the place behind, so that the answer is nobody's. Where an answer does not come in time the
// connection is closed: a late one could not be told from the next one's.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/buffer.h"
#include "base/deadline.h"
#include "base/loop.h"
#include "net/addresses.h"
#include "net/transport.h"
#include "redis/command.h"
#include "redis/parser.h"
#include "redis/tracking.h"
#include "redis/url.h"
#include "redis/value.h"

namespace penstock::redis {

struct Server {
  Url url;
  std::shared_ptr<net::TlsClient> tls;  // for rediss
  std::string name;                     // what CLIENT LIST shows
};

// The Error of kind unreachable that an answer stands for: it will not serve anybody just now
// (LOADING, READONLY, OOM, MASTERDOWN, CLUSTERDOWN). Nothing for other answers.
std::optional<Error> unavailable(const Value& value);
// It is a replica, where a master was taken for granted (READONLY, MASTERDOWN).
bool not_master(const Value& value);
// It has lost the others of its cluster: another one may be master of its slots (CLUSTERDOWN).
bool cut_off(const Value& value);
// It has no memory left (OOM): unavailable to who writes, while who reads is served.
bool out_of_memory(const Value& value);
// An error that Redis answered, as an Error of kind refused: bounded, printable.
Error refused(const Value& value);

class Connection final : public std::enable_shared_from_this<Connection>, private Alarm {
 public:
  // Commands waiting for their answers, and bytes waiting to be sent: who comes then is refused.
  static constexpr std::size_t kMostWaiting = 64 * 1024;
  static constexpr std::size_t kMostBytes = 64 * 1024 * 1024;

  // Is told what happens, on the loop. Must outlive the connection or leave it.
  class Owner {
   public:
    virtual ~Owner() = default;
    // The answer to a command; `command` as it was sent.
    virtual void on_reply(const Value& value, std::size_t command, Duration took) = 0;
    virtual void on_push(const Value& value) = 0;
    // Once, when it was closed. `waiting` commands had no answer.
    virtual void on_end(const Error& error, std::size_t waiting) = 0;
  };

  struct Waiting;
  // Somebody who waits for an answer.
  class Call {
   public:
    explicit Call(Loop& loop) : loop_(loop) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();
    // The answer, which may be an error of Redis's; an Error when the connection ended or the
    // deadline is over: then the answer is lost.
    Task<Result<Value>> answer(Deadline& deadline);

   private:
    friend class Connection;
    void end(Result<Value> result);
    Loop& loop_;
    Waiter waiter_;
    std::optional<Result<Value>> result_;
    Waiting* place_ = nullptr;  // in the line
  };
  struct Waiting {
    Call* call;  // null: nobody wants it
    std::size_t command;
    Time since;
    Time due;  // the connection is closed then
  };

  // What a connection is for.
  struct Use {
    Owner* owner;
    Duration timeout;                              // for the answer to each command
    std::shared_ptr<const Tracking::Ears> ears{};  // it is tracked; null: it is not
    bool master = false;                           // a replica that is not of a cluster will not do
  };
  // A connection that has said HELLO, authenticated, selected its database and answered a PING.
  // Everything referred to must outlive the opening.
  static Task<Result<std::shared_ptr<Connection>>> open(const Server& server,
                                                        net::Addresses& addresses, const Use& use,
                                                        Deadline& deadline);

  Connection(Loop& loop, Owner* owner);

  // Goes out with what else is sent in this turn of the loop. Null: nobody waits for the answer.
  // REQUIRES: open(), !full().
  void send(Words words, Call* call);
  // The same for a command that is answered by pushes (SUBSCRIBE).
  void send_unanswered(Words words);
  // Asks whether anybody is there; the owner is not told of the answer.
  // REQUIRES: open(), !full().
  void ping(Duration timeout);

  const std::string& place() const { return place_; }  // host and port
  bool in_cluster() const { return in_cluster_; }
  bool is_open() const { return !closed_; }
  bool full() const { return line_.size() >= kMostWaiting || outbox_.size() >= kMostBytes; }
  std::size_t waiting() const { return line_.size(); }
  void close(const Error& error);
  Tracking& tracking() { return tracking_; }
  // The owner hears no more.
  void leave() { owner_ = nullptr; }

 private:
  void ring(Time now) override;
  void start();
  void queue(Words words);
  void stand(const Waiting& place);
  Task<Result<void>> greet(const Server& server, const Use& use, Deadline& deadline);
  static Task<void> read(std::shared_ptr<Connection> self);
  static Task<void> write(std::shared_ptr<Connection> self);
  bool take_in(std::string_view bytes);
  bool answer(Value value);

  Loop& loop_;
  Owner* owner_;
  std::string place_;
  net::Transport transport_;
  Deadline reading_until_;
  Deadline writing_until_;
  Duration timeout_ = Duration::max();  // not watched while it is opened
  Parser parser_;
  Tracking tracking_;
  std::deque<Waiting> line_;
  std::string outbox_;
  Waiter writer_;
  bool in_cluster_ = false;
  bool closed_ = false;
};

}  // namespace penstock::redis
