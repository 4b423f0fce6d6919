// Where a connection is made to.
#pragma once

#include <memory>
#include <string>

#include "net/addresses.h"
#include "redis/connection.h"

namespace penstock::redis {

// Belongs to a loop.
class Origin {
 public:
  virtual ~Origin() = default;
  // A connection that is ready for commands. `use` and the Origin must outlive the opening.
  virtual Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                         Deadline& deadline) = 0;
  // What was found there is no master (any more): it is looked for anew before the next connection.
  virtual void doubt() = 0;
  virtual std::string place() const = 0;  // for logs
};

// One server at a URL.
class OneServer final : public Origin {
 public:
  OneServer(Loop& loop, Server server,
            net::Addresses::Lookup lookup = net::Addresses::system_lookup);
  Task<Result<std::shared_ptr<Connection>>> open(const Connection::Use& use,
                                                 Deadline& deadline) override;
  void doubt() override { addresses_.doubt(); }
  std::string place() const override { return server_.url.place(); }
  const std::string& host() const { return server_.url.host; }

 private:
  const Server server_;
  net::Addresses addresses_;
};

}  // namespace penstock::redis
