#include "redis/origin.h"

namespace penstock::redis {

OneServer::OneServer(Loop& loop, Server server, net::Addresses::Lookup lookup)
    : server_(std::move(server)),
      addresses_(loop, server_.url.host, server_.url.port, std::move(lookup), Source::store) {}

Task<Result<std::shared_ptr<Connection>>> OneServer::open(const Connection::Use& use,
                                                          Deadline& deadline) {
  Result<std::shared_ptr<Connection>> opened =
      co_await Connection::open(server_, addresses_, use, deadline);
  co_return opened;
}

}  // namespace penstock::redis
