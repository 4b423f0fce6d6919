// Who uses the gateway, how often, and what they say of it.

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>

#include "access/json.h"
#include "exchange/refusals.h"
#include "gateway/exchange.h"
#include "gateway/headers.h"
#include "gateway/passthrough.h"
#include "store/feedback.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kMostComment = 4000;    // bytes
constexpr std::size_t kMostText = 64 * 1024;  // of a question that is written down
constexpr std::size_t kMostId = 128;

Refusal invalid(Reason reason, std::string message, std::string param) {
  return refusal(reason, std::move(message), std::move(param));
}

}  // namespace

void Gateway::count_question(const Standing& who, std::string_view session, std::uint64_t user,
                             std::uint64_t text) {
  if (house_.engagement == nullptr) return;
  const Caller& caller = *who.caller;
  engagement::Engagement::Asked asked;
  asked.at = std::chrono::system_clock::now();
  asked.user = user != 0            ? user
               : caller.key.empty() ? 0
                                    : engagement::hash_of(caller.tenant, caller.key);
  asked.session = session.empty() ? 0 : engagement::hash_of(caller.tenant, session);
  asked.text = text;
  house_.engagement->asked(asked);
}

void Gateway::count_question(Exchange& x) {
  if (x.question.endpoint != Endpoint::chat && x.question.endpoint != Endpoint::completions) return;
  const std::string_view session = session_of(x.request.head).substr(0, kMostId);
  if (!x.question.user.empty()) {
    x.bytes.user = engagement::hash_of(x.who->caller->tenant, x.question.user);
  }
  x.bytes.text = engagement::hash_of(
      x.question.model, x.question.canonical.empty() ? x.question.body : x.question.canonical);
  x.recorder.bill->row.session = session;
  x.bytes.pair = static_cast<std::uint32_t>(x.plan.metrics);
  if (x.judged) {
    x.bytes.complexity = x.judged->score;
    const double score = complexity::exact(x.judged->score);
    x.recorder.bill->row.complexity = score;
    x.recorder.bill->trace.seen.complexity = score;
    x.with->pairs[x.plan.metrics]->asked(x.judged->score);
  }
  count_question(*x.who, session, x.bytes.user, x.bytes.text);
}

// What was asked goes into the ledger, and to a backend of traces, only where the operator wants
// it.
void Gateway::note_text(Exchange& x) {
  trace::Texts* const told = x.recorder.bill->trace.texts.get();
  if (told != nullptr) told->ask(x.question.endpoint, x.question.body);
  std::string& text = x.recorder.bill->row.question;
  const std::string_view body = x.question.body;
  switch (x.settings().store.usage.record_text) {
    case settings::RecordText::none: return;
    case settings::RecordText::full: text = body.substr(0, kMostText); return;
    case settings::RecordText::hashed: break;
  }
  // Equal questions have equal digests, however they are written.
  const std::string_view asked = x.question.canonical.empty() ? body : x.question.canonical;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(asked.data()), asked.size(), digest.data());
  text = "sha256:";
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
}

// POST /v1/feedback: {"request_id": "...", "rating": "up", "comment": "..."}.
Task<Result<Answer, Refusal>> Gateway::take_feedback(Exchange& x) {
  const http::RequestHead& head = x.request.head;
  if (head.method != "POST") co_return method_not_allowed(head.method, head.path, "POST");
  // It writes into the database: not more often than its sender may ask.
  std::optional<Refusal> not_now = co_await admit_of(x, nullptr);
  if (not_now) co_return *std::move(not_now);
  access::StrictJson json;
  const auto body = json.read(x.question.body);
  if (!body) {
    co_return invalid(Reason::invalid_json,
                      "The body is not valid JSON: " + body.error().detail + ".", {});
  }
  store::Feedback feedback;
  std::string rating;
  for (const auto [key, value] : *body) {
    const auto take = [&](std::string& to, std::size_t most) -> std::optional<Refusal> {
      std::string_view text;
      if (value.get_string().get(text) != simdjson::SUCCESS) {
        return invalid(Reason::invalid_type,
                       fmt::format("Invalid type for '{}': expected a string, but got {} instead.",
                                   key, value.is_null() ? "null" : "another type"),
                       std::string(key));
      }
      if (text.size() > most) {
        return invalid(Reason::string_above_max_length,
                       fmt::format("Invalid '{}': string too long. Expected a string with maximum "
                                   "length {}, but got a string with length {} instead.",
                                   key, most, text.size()),
                       std::string(key));
      }
      to = text;
      return std::nullopt;
    };
    std::optional<Refusal> refused;
    if (key == "request_id") {
      refused = take(feedback.request_id, kMostId);
    } else if (key == "rating") {
      refused = take(rating, 16);
    } else if (key == "comment") {
      refused = take(feedback.comment, kMostComment);
    } else if (key == "model") {
      refused = take(feedback.model, kMostId * 2);
    } else {
      refused =
          invalid(Reason::unknown_member,
                  fmt::format("There is no member '{}' here.", std::string_view(key).substr(0, 64)),
                  std::string(std::string_view(key).substr(0, 64)));
    }
    if (refused) co_return *std::move(refused);
  }
  for (const auto& [name, value] :
       {std::pair("request_id", &feedback.request_id), std::pair("rating", &rating)}) {
    if (value->empty()) {
      co_return invalid(Reason::missing_required_parameter,
                        fmt::format("Missing required parameter: '{}'.", name), name);
    }
  }
  const auto judged = engagement::parse_rating(rating);
  if (!judged) {
    co_return invalid(Reason::invalid_value, "Invalid 'rating': it is up or down.", "rating");
  }
  feedback.rating = engagement::label_of(*judged);
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  feedback.time_us = std::chrono::duration_cast<std::chrono::microseconds>(wall).count();
  const Uuid id = make_uuid7(static_cast<std::uint64_t>(feedback.time_us / 1000), random_);
  feedback.id = text(id);
  feedback.tenant = x.who->caller->tenant;
  feedback.key = x.who->caller->key;
  if (house_.database == nullptr) {
    co_return refusal(Reason::store_unavailable, "The database cannot be asked now.");
  }
  Deadline deadline(x.deadline, Clock::now() + 2s);
  Result<void> kept = co_await store::add_feedback(*house_.database, feedback, deadline);
  if (!kept) {
    house_.log.warning("feedback could not be kept", {{"request_id", x.recorder.request_id()},
                                                      {"trace_id", x.recorder.trace_id()},
                                                      {"reason", kept.error().detail}});
    Refusal unavailable = refusal(Reason::store_unavailable, "The database cannot be asked now.");
    unavailable.retry_after = 1s;
    co_return unavailable;
  }
  if (house_.engagement != nullptr) house_.engagement->rated(*judged);
  Answer answer;
  answer.status = 201;
  answer.body = fmt::format(R"({{"object":"feedback","id":"{}"}})", feedback.id);
  co_return answer;
}

}  // namespace penstock::gateway
