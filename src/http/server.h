// The server side of HTTP/1.1: connections, requests in order, answers, time-outs, drain.
//
//            +--------------------- keep-alive -----------------------+
//            v                                                        |
//   accept  cold --byte--> reading --whole request--> serving --answer--> flushing
//            ^                |                          |                  |
//            +--200 ms idle---+         refused ---> lingering ---> closed <-+
//
// A connection is a small state machine on the loop's callbacks, so that a request that can be
// answered at once (a cache hit) costs one read and one write and no coroutine. Only a request
// that must wait becomes a coroutine (`Handler::serve`). A connection that idles is cold: it
// holds no buffer. (ADR 1)
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/deadline.h"
#include "base/loop.h"
#include "base/poller.h"
#include "http/head.h"
#include "observe/metrics.h"

namespace penstock::http {

class MemoryGate;

struct ServerLimits {
  std::size_t connections = 50000;  // of all servers that share the count
  HeadLimits head;
  std::uint64_t body_bytes = 32 * 1024 * 1024;
  Duration first_header = 10s;
  Duration body = 30s;
  Duration write_stall = 30s;
  Duration idle = 5min;
  MemoryGate* memory = nullptr;  // null: large bodies are always let in
};

// A request whose body has come whole. Lives until its answer is complete.
struct Request {
  RequestHead head;
  std::string_view body;  // followed by at least Buffer::kPadding readable bytes
  Time received;          // when its last byte was read
  bool keep_alive = true;
};

class Connection;

// The answer under way to one request. Either `whole` at once, or a stream:
//
//   reply.status(200); reply.field("content-type", "text/event-stream");
//   if (!co_await reply.begin_stream()) co_return;       // false: the client is gone
//   while (...) if (!co_await reply.write(bytes)) co_return;
//   co_await reply.end_stream();
//
// After a `false` nothing more can be said to the client; the connection is closed.
class Reply {
 public:
  explicit Reply(Connection& connection) : connection_(connection) {}

  // Begins the head.
  void status(int code);
  // Begins the head with one made ready before: a status line and fields, each with its CR LF.
  void prepared(int status, std::string_view head);
  // REQUIRES: no CR or LF in either; the caller vouches for it.
  void field(std::string_view name, std::string_view value);
  // Ends the answer. `finish` adds Content-Length and the fields of the connection; so does
  // `finish_prepared` but for Content-Length, which the prepared head already has.
  void finish(std::string_view body);
  void finish_prepared(std::string_view body);
  // The same, and the body is sent from where it is. `owner` keeps it there, and is kept
  // itself until the handler has returned.
  void finish_prepared(std::string_view body, std::shared_ptr<const void> owner);

  // A body whose bytes come over time; of `length` where that is known, chunked otherwise.
  Task<bool> begin_stream(std::optional<std::uint64_t> length = std::nullopt);
  // Waits while the client is slow: that is the back-pressure.
  Task<bool> write(std::string_view bytes);
  // The same in two steps, so that a client that keeps up costs no coroutine: what it does not take
  // now is kept. False: nothing more before `drained` has come true.
  bool write_now(std::string_view bytes);
  Task<bool> drained();
  Task<bool> end_stream();
  // The body cannot be completed: the connection is closed so that it is seen to be cut short.
  void abort();

  // Not before the answer is the request closed for more requests.
  void close_after();
  // Once something was said the answer cannot be replaced.
  bool begun() const { return begun_; }
  bool client_left() const;
  // Who asks, as "127.0.0.1:54321"; empty once the connection is closed.
  std::string peer() const;
  int status_code() const { return status_; }
  std::uint64_t bytes_sent() const { return body_bytes_; }

 private:
  friend class Connection;
  std::string& out();
  void reset();
  void end_head();

  Connection& connection_;
  int status_ = 0;
  bool begun_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  bool head_only_ = false;  // the request was a HEAD: the body is counted, not sent
  std::uint64_t body_bytes_ = 0;
};

// What a server does with requests. Belongs to one loop.
class Handler {
 public:
  virtual ~Handler() = default;
  // Answers at once with reply.finish...() and returns true, or touches nothing.
  virtual bool answer_now(Request& request, Reply& reply) = 0;
  // Answers, in its own time. The deadline is called off when the client leaves. What it leaves
  // unanswered is closed.
  virtual Task<void> serve(Request& request, Reply& reply, Deadline& deadline) = 0;
  // The message cannot be understood or is over a bound: says so (the connection then closes).
  // `head`: empty where it is what was not understood.
  virtual void refuse(const BadMessage& bad, const RequestHead& head, Reply& reply) = 0;
};

struct ServerMetrics {
  ServerMetrics() = default;  // counts nothing
  explicit ServerMetrics(observe::Shard& shard);
  observe::Counter connections;
  observe::Gauge open;
  observe::Counter aborts;
};

// The connections of all servers of a program, against `connections`.
using ConnectionCount = std::atomic<std::size_t>;

// One listener and its connections, on one loop.
class Server final {
 public:
  Server(Loop& loop, Handler& handler, const ServerLimits& limits, ServerMetrics metrics,
         ConnectionCount& count);
  ~Server();

  // Binds and listens with SO_REUSEPORT; port 0 takes a free one. The error names the address
  // and what is wrong with it.
  Result<asio::ip::tcp::endpoint> listen(const asio::ip::tcp::endpoint& endpoint);

  // New limits for what begins from now on.
  void set_limits(const ServerLimits& limits) { limits_ = limits; }

  // Stops accepting and lets idle connections go; answers under way end their connections.
  void drain();
  // Calls off every request under way, with Why::draining: streams say so and end.
  void call_off();
  // Closes whatever is left.
  void close_all();
  std::size_t open() const { return open_; }

  Loop& loop() { return loop_; }

 private:
  friend class Connection;
  friend class Reply;
  struct Session;

  void accept();
  void accepted(int fd);
  void pause_accept();
  void bury(Connection& connection);
  void free_buried();
  void resume_accept();
  std::unique_ptr<Session> take_session();
  void give_session(std::unique_ptr<Session> session);
  std::string_view date();

  Loop& loop_;
  Handler& handler_;
  ServerLimits limits_;
  ServerMetrics metrics_;
  ConnectionCount& count_;
  TcpAcceptor acceptor_;
  SteadyTimer pause_;
  bool accepting_ = false;
  bool paused_ = false;
  bool draining_ = false;
  std::size_t open_ = 0;
  Connection* first_ = nullptr;      // all connections, linked
  std::vector<Connection*> buried_;  // closed; freed when no call is inside them
  bool burial_posted_ = false;
  std::vector<std::unique_ptr<Session>> sessions_;  // free ones, to be used again
  std::int64_t date_second_ = 0;
  char date_[29] = {};
};

// Servers of one program share a port (SO_REUSEPORT), and so would another program of the same
// user, unnoticed. Call it before the first listens: an Error if somebody else has the port.
Result<void> claim(const asio::ip::tcp::endpoint& endpoint);

// RFC 9110 section 5.6.7: "Tue, 24 Nov 2026 13:37:00 GMT", 29 bytes into `out`.
void write_date(std::int64_t unix_seconds, char* out);
std::string_view reason_of(int status);
// Names the address and what is in the way.
Error listen_error(const asio::ip::tcp::endpoint& endpoint, const boost::system::error_code& ec);

}  // namespace penstock::http
