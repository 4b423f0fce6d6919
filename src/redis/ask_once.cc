#include "redis/ask_once.h"

namespace penstock::redis {

Task<Result<Value>> ask_once(Origin& origin, Words words, Deadline& deadline) {
  const Connection::Use use{nullptr, Duration::max()};
  Result<std::shared_ptr<Connection>> opened = co_await origin.open(use, deadline);
  if (!opened) co_return std::move(opened).error();
  const std::shared_ptr<Connection> connection = *std::move(opened);
  Connection::Call call(deadline.loop());
  connection->send(words, &call);
  Result<Value> answer = co_await call.answer(deadline);
  connection->close({Kind::cancelled, Source::gateway, false, "all was asked"});
  if (answer && answer->is_error()) co_return refused(*answer);
  co_return answer;
}

}  // namespace penstock::redis
