// The gateway's door, for each way of telling callers apart.
#pragma once

#include "access/key_book.h"
#include "gateway/door.h"

namespace penstock::app {

class KeyDoor final : public gateway::Door {
 public:
  explicit KeyDoor(access::KeyBook& book) : book_(book) {}

  std::string_view method() const override { return "key"; }
  CallerPtr known(std::string_view credential, WallTime now) const override {
    return book_.known(credential, now);
  }
  Task<Result<CallerPtr, access::Refused>> find(std::string credential, WallTime now,
                                                Deadline& deadline) override {
    return book_.find(std::move(credential), now, deadline);
  }
  std::uint64_t generation() const override { return book_.generation(); }

 private:
  access::KeyBook& book_;
};

}  // namespace penstock::app
