// One client's connection: the state machine that server.h draws. Private to the server.
#pragma once

#include "base/buffer.h"
#include "base/deadline.h"
#include "http/chunked.h"
#include "http/memory_gate.h"
#include "http/server.h"

namespace penstock::http {

// What a connection holds while it is not cold; recycled, so that a request allocates nothing.
struct Server::Session {
  static constexpr std::size_t kInitial = 4096;

  Buffer in{kInitial};
  std::size_t begin = 0;  // of the present request
  std::size_t end = 0;    // of what was read
  Buffer body;            // for a body that does not fit, or is chunked
  std::string out;        // not sent yet, from out_sent on
  std::size_t out_sent = 0;
  // The last answer's body where it is sent from its own place, behind out.
  std::string_view tail;
  std::shared_ptr<const void> tail_owner;

  // Something is to be said behind the tail, or it cannot be sent now.
  void settle_tail() {
    if (!tail.empty()) out += tail;
    tail = {};
    tail_owner.reset();
  }
  Request request;
};

class Connection final : public Alarm, public Poller::Socket {
 public:
  Connection(Server& server, int fd);
  ~Connection() override;

  Loop& loop() { return server_.loop_; }

  void start();
  void drain();
  void call_off();
  void close();

 private:
  friend class Reply;
  friend class Server;

  static constexpr std::size_t kPipelined = 64 * 1024;  // answers collected before they are sent

  enum class State : std::uint8_t { cold, reading, serving, flushing, lingering, closed };
  enum class Need : std::uint8_t { head, body, chunks };

  void ring(Time now) override;

  void on_event(bool readable, bool writable, bool hung_up) override;
  void read();
  void read_later();
  void discard();
  void go_cold();
  void process(Time now);
  bool take_request(Time now);  // false: more bytes are needed, or the message was refused
  bool begin_body(const Framing& framing, std::size_t head_length, Time now);
  bool promise(std::uint64_t bytes);
  void keep_promise(bool came);
  bool take_chunks(Time now);
  bool serve();  // true: it was answered without waiting
  void served();
  void finish_request();
  void refuse(const BadMessage& bad);
  void want_more(Time now);
  void flush();
  void flushed(Time now);
  enum class Sent : std::uint8_t { all, blocked, failed };
  Sent send_out();
  void linger();
  Sent send_behind(std::string_view a, std::string_view b, std::string_view c);
  Task<bool> drained();
  Task<void> run();
  void maybe_destroy();

  Server& server_;
  int fd_;
  std::unique_ptr<Server::Session> session_;
  Reply reply_{*this};
  Deadline* deadline_ = nullptr;  // of the request being served
  Connection* next_ = nullptr;
  Connection* previous_ = nullptr;

  State state_ = State::cold;
  Need need_ = Need::head;
  bool readable_ = false;  // there may be something to read
  bool hung_up_ = false;   // the client has closed, at least its sending half
  bool left_ = false;      // and the request being served was told
  bool running_ = false;   // the coroutine is alive
  bool starting_ = false;  // and within the call that began it
  bool yielded_ = false;   // it goes on reading when others have had their turn
  bool buried_ = false;
  bool keep_alive_ = true;   // after the present request's answer
  bool ending_ = false;      // what is said now is the last: nothing more is read
  bool understood_ = false;  // the head of the present request
  bool head_timer_ = false;  // the first byte of a head has come
  bool answered_ = false;    // at least one request
  Waiter room_;              // of the coroutine, for room in the socket
  ChunkedDecoder chunks_;
  std::size_t request_end_ = 0;  // where the next request begins, in session.in
  std::size_t chunk_cursor_ = 0;
  std::uint64_t body_need_ = 0;
  std::uint64_t promised_ = 0;  // of the memory gate
  std::uint64_t body_have_ = 0;
  bool body_apart_ = false;  // in session.body
  Time timeout_at_ = Time::max();
  Time body_began_{};
  Time look_at_{};  // when the body's rate is looked at next
  std::uint64_t discarded_ = 0;
};

}  // namespace penstock::http
