// Who is behind a credential: a key that the database knows, or a token that somebody signed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/refused.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/task.h"
#include "exchange/caller.h"

namespace penstock::gateway {

// Shared by the workers.
class Door {
 public:
  virtual ~Door() = default;

  // "key", "jwt": as metrics name it.
  virtual std::string_view method() const = 0;
  // Whoever is known here already; null: ask `find`. Under a microsecond, on a request's way.
  virtual CallerPtr known(std::string_view credential, WallTime now) const = 0;
  // May ask the database, or the identity provider.
  virtual Task<Result<CallerPtr, access::Refused>> find(std::string credential, WallTime now,
                                                        Deadline& deadline) = 0;
  // Another number after each change: while it is the same, whoever was known is known as the same.
  virtual std::uint64_t generation() const = 0;
};

}  // namespace penstock::gateway
