#include "gateway/form.h"

#include "dialect/answer.h"
#include "dialect/refusal.h"
#include "dialect/stream.h"

namespace penstock::gateway {
namespace {

constexpr std::uint64_t kRefusal = 256 * 1024;          // the most of a refusal that is read
constexpr std::uint64_t kSpace = 256 * 1024;            // the most white space ahead of an answer
constexpr std::uint64_t kConverted = 32 * 1024 * 1024;  // the most that is made into another form

class PrefixedFlow final : public Flow {
 public:
  PrefixedFlow(std::string first, std::unique_ptr<Flow> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}
  std::optional<Result<std::string_view>> poll() override {
    if (given_) return rest_->poll();
    given_ = true;
    return std::string_view(first_);
  }
  Task<Result<void>> wait(Deadline& deadline) override { return rest_->wait(deadline); }

 private:
  std::string first_;
  std::unique_ptr<Flow> rest_;
  bool given_ = false;
};

bool streams(Endpoint endpoint) {
  return endpoint == Endpoint::chat || endpoint == Endpoint::completions;
}

Task<Result<void>> complete(Answer& answer, Deadline& deadline) {
  if (answer.rest) {
    Result<std::string> body = co_await gather(answer, kRefusal, deadline);
    if (!body) co_return std::move(body).error();
    answer.body = *std::move(body);
    answer.rest.reset();
    answer.length.reset();
  }
  if (auto completed = dialect::completed_refusal(answer.body, answer.status)) {
    answer.body = *std::move(completed);
    answer.content_type = "application/json";
  }
  co_return Result<void>();
}

}  // namespace

Task<Result<std::string>> gather(Answer& answer, std::uint64_t most, Deadline& deadline) {
  std::string body;
  for (;;) {
    Result<std::string_view> piece = co_await answer.rest->next(deadline);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) {
      answer.rest.reset();
      co_return body;
    }
    body += *piece;
    if (body.size() > most) co_return body;
  }
}

std::unique_ptr<Flow> behind(std::string first, std::unique_ptr<Flow> rest) {
  return std::make_unique<PrefixedFlow>(std::move(first), std::move(rest));
}

Task<Result<std::optional<Usage>>> make_sound(Answer& answer, Endpoint endpoint,
                                              std::string_view engine, Deadline& deadline) {
  std::optional<Usage> usage;
  if (endpoint == Endpoint::other || endpoint == Endpoint::models) co_return usage;
  if (answer.status >= 400) {
    Result<void> completed = co_await complete(answer, deadline);
    if (!completed) co_return std::move(completed).error();
    co_return usage;
  }
  if (answer.event_stream() && streams(endpoint)) co_return usage;
  bool json = false;
  if (!answer.rest) {
    const auto facts = dialect::answer_facts(answer.body, endpoint);
    json = facts.has_value();
    if (json && facts->has_usage) usage = facts->usage;
  } else {
    std::string first;
    std::size_t at = std::string::npos;
    while (at == std::string::npos && first.size() <= kSpace) {
      Result<std::string_view> piece = co_await answer.rest->next(deadline);
      if (!piece) co_return std::move(piece).error();
      if (piece->empty()) break;
      first += *piece;
      at = first.find_first_not_of(" \t\r\n");
    }
    json = at != std::string::npos && first[at] == '{';
    if (json) answer.rest = behind(std::move(first), std::move(answer.rest));
  }
  if (json) co_return usage;
  co_return Error{Kind::broken, Source::engine, false,
                  "engine " + std::string(engine) + ": its answer is not JSON"};
}

bool other_form(const Answer& answer, const Question& question) {
  return answer.status < 300 && streams(question.endpoint) &&
         answer.event_stream() != question.stream;
}

Task<Result<void>> change_form(Answer& answer, const Question& question, Deadline& deadline) {
  if (answer.rest) {
    Result<std::string> body = co_await gather(answer, kConverted, deadline);
    if (!body) co_return std::move(body).error();
    if (answer.rest) {
      co_return Error{Kind::broken, Source::engine, false,
                      "it is not in the form that was asked for, and too large to be changed"};
    }
    answer.body = *std::move(body);
    answer.length.reset();
  }
  const bool stream = answer.event_stream();
  Result<std::string> other =
      stream ? dialect::assemble(answer.body) : dialect::split(answer.body, question.include_usage);
  if (!other) co_return std::move(other).error();
  answer.content_type = stream ? "application/json" : "text/event-stream; charset=utf-8";
  answer.body = *std::move(other);
  co_return Result<void>();
}

}  // namespace penstock::gateway
