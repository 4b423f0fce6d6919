// The gateway's door, for each way of telling callers apart.
#pragma once

#include <string>
#include <string_view>

#include "gateway/door.h"

namespace penstock::app {

// Keys and tokens are asked for alike.
template <class Book>
class BookDoor final : public gateway::Door {
 public:
  // `method`: as metrics name it.
  BookDoor(std::string_view method, Book& book) : method_(method), book_(book) {}

  std::string_view method() const override { return method_; }
  CallerPtr known(std::string_view credential, WallTime now) const override {
    return book_.known(credential, now);
  }
  Task<Result<CallerPtr, access::Refused>> find(std::string credential, WallTime now,
                                                Deadline& deadline) override {
    return book_.find(std::move(credential), now, deadline);
  }
  std::uint64_t generation() const override { return book_.generation(); }

 private:
  const std::string_view method_;
  Book& book_;
};

}  // namespace penstock::app
