#include "base/poller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

namespace penstock {
namespace {

class Counting final : public Poller::Socket {
 public:
  void on_event(bool readable, bool, bool hung_up) override {
    ++events;
    readable_ |= readable;
    hung_up_ |= hung_up;
  }
  int events = 0;
  bool readable_ = false, hung_up_ = false;
};

class PollerTest : public testing::Test {
 protected:
  PollerTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0); }
  ~PollerTest() override {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  // Until nothing more is to be told.
  void turn() {
    asio::post(loop_.executor(),
               [this] { asio::post(loop_.executor(), [this] { loop_.stop(); }); });
    loop_.run();
    timer_.expires_after(20ms);
    timer_.async_wait([this](boost::system::error_code) { loop_.stop(); });
    loop_.run();
  }

  std::array<int, 2> ends_{-1, -1};
  Loop loop_;
  SteadyTimer timer_{loop_.executor()};
  Counting socket_;
};

TEST_F(PollerTest, TellsWhatHappensToASocket) {
  ASSERT_TRUE(loop_.poller().add(ends_[0], socket_));
  turn();
  EXPECT_EQ(socket_.events, 1);  // there is room
  EXPECT_FALSE(socket_.readable_);
  ASSERT_EQ(::write(ends_[1], "x", 1), 1);
  turn();
  EXPECT_TRUE(socket_.readable_);
  loop_.poller().remove(socket_);
}

TEST_F(PollerTest, TellsNothingMoreThoughSomebodyHoldsTheDescriptor) {
  ASSERT_TRUE(loop_.poller().add(ends_[0], socket_));
  turn();
  const int held = ::dup(ends_[0]);  // as a child does that was forked
  loop_.poller().remove(ends_[0], socket_);
  ::close(ends_[0]);
  ends_[0] = held;
  const int before = socket_.events;
  ASSERT_EQ(::write(ends_[1], "x", 1), 1);
  turn();
  EXPECT_EQ(socket_.events, before);
}

}  // namespace
}  // namespace penstock
