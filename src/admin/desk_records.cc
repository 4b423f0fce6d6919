// What the desk does with a request that asks the database: the records' room answers, in its own
// time.
#include <algorithm>

#include "admin/desk.h"
#include "dialect/refusal.h"
#include "exchange/refusals.h"
#include "http/url.h"

namespace penstock::admin {
namespace {

constexpr Duration kPatience = 10s;  // of one who asks

bool is_json(std::string_view type) {
  const std::string_view essence = type.substr(0, type.find(';'));
  return essence.empty() || http::equal_lower(essence, "application/json");
}

}  // namespace

const RecordsRoom::Operation* Admin::Desk::operation_at(const http::RequestHead& head,
                                                        std::string_view& object) const {
  if (records_ == nullptr) return nullptr;
  const auto operations = RecordsRoom::operations();
  const auto found = std::find_if(operations.begin(), operations.end(), [&](const auto& one) {
    return one.route.at(head.path, object) && one.route.takes(head.method);
  });
  return found == operations.end() ? nullptr : &*found;
}

Task<void> Admin::Desk::serve(http::Request& request, http::Reply& reply, Deadline& deadline) {
  const std::string id = request_id_;
  std::string_view object;
  const RecordsRoom::Operation* const operation = operation_at(request.head, object);
  if (operation == nullptr) {
    const Served* const found = served_at(request.head);
    if (found == nullptr || found->waiting == nullptr) co_return;  // answer_now would have answered
    co_return co_await (this->*(found->waiting))(request, reply, deadline);
  }
  const bool changes = operation->route.method != "GET";

  RecordsRoom::Answer answer;
  Result<Query, Refusal> query = read_query(request.head.query, operation->route.query);
  if (!query) {
    answer.refusal = query.error();
  } else if (changes && !is_json(request.head.find("content-type"))) {
    answer.refusal = refusal(Reason::unsupported_content_type,
                             "The body's content-type must be application/json.");
  } else {
    RecordsRoom::Ask ask;
    ask.object = http::percent_decoded(object);
    ask.query = *std::move(query);
    ask.body = request.body;
    ask.accept = request.head.find("accept");
    ask.who = actor(reply);
    ask.now = std::chrono::system_clock::now();
    Deadline patience(deadline, Clock::now() + kPatience);
    answer = co_await ((*records_).*(operation->handler))(std::move(ask), patience);
  }
  if (reply.client_left()) co_return;
  request_id_ = id;  // others were answered meanwhile
  if (changes && !answer.part)
    log_change(request, reply, operation->route.summary, !answer.refusal);
  if (answer.refusal) co_return refuse_with(reply, *answer.refusal);
  begin(reply, answer.status, answer.media);
  reply.field("cache-control", "no-store");
  reply.finish(answer.body);
}

}  // namespace penstock::admin
