#include "engine/openai.h"

#include <simdjson.h>

#include <algorithm>

#include "base/buffer.h"
#include "dialect/json.h"

namespace penstock::engine {
namespace {

constexpr std::uint64_t kWhole = 256 * 1024;          // read before it is passed on
constexpr std::size_t kMostModels = 4 * 1024 * 1024;  // bytes of a list of models

// What of an engine's answer goes on to the client.
bool passed_on(std::string_view name) {
  if (http::hop_by_hop(name) || name.starts_with("x-penstock-")) return false;
  // The engine's word on who may read it says nothing about the gateway.
  if (name.starts_with("access-control-")) return false;
  for (const std::string_view dropped :
       {"content-length", "content-type", "date", "server", "set-cookie", "x-request-id",
        "content-encoding", "cache-control", "x-accel-buffering", "alt-svc", "age", "vary",
        "strict-transport-security", "server-timing"}) {
    if (name == dropped) return false;
  }
  return true;
}

void copy_head(const http::ResponseHead& head, Answer& answer) {
  answer.status = head.status;
  answer.content_type = head.find("content-type");
  if (answer.content_type.empty()) answer.content_type = "application/octet-stream";
  for (const http::Field& field : head.fields) {
    if (!passed_on(field.name)) continue;
    const bool listed =
        std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& other) {
          return other.name == "connection" && http::list_has(other.value, field.name);
        });
    if (!listed) answer.headers.push_back({std::string(field.name), std::string(field.value)});
  }
}

// The body in the pieces that are sent: the question's own bytes around what is put in.
struct Pieces {
  std::string model;  // quoted, where it replaces the client's
  std::string_view options;
  std::array<std::string_view, 5> parts{};
  std::size_t count = 0;
  std::size_t bytes = 0;

  void add(std::string_view part) {
    if (part.empty()) return;
    parts[count++] = part;
    bytes += part.size();
  }
};

void cut(const Call& call, Pieces& pieces) {
  const Question& question = call.question;
  const std::string_view body = question.body;
  struct Edit {
    Range at;
    std::string_view text;
  };
  std::array<Edit, 2> edits;
  std::size_t count = 0;
  if (!question.model_at.empty() && !call.upstream_model.empty() &&
      call.upstream_model != question.model) {
    dialect::write_string(pieces.model, call.upstream_model);
    edits[count++] = {question.model_at, pieces.model};
  }
  if (call.ask_usage) {
    if (question.stream_options_at.empty()) {
      edits[count++] = {{question.members_at, question.members_at},
                        R"("stream_options":{"include_usage":true},)"};
    } else {
      edits[count++] = {question.stream_options_at, R"({"include_usage":true})"};
    }
  }
  if (count == 2 && edits[1].at.begin < edits[0].at.begin) std::swap(edits[0], edits[1]);
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    pieces.add(body.substr(at, edits[i].at.begin - at));
    pieces.add(edits[i].text);
    at = edits[i].at.end;
  }
  pieces.add(body.substr(at));
}

// What comes after the head. In a stream the first byte and the gaps between bytes have their own
// time-outs.
class EngineFlow final : public Flow {
 public:
  // `begun`: the body's beginning, where it was read already.
  EngineFlow(const std::string& engine, http::ClientAnswer answer, std::string begun,
             const settings::EngineSettings::Timeout& timeout, bool stream, Time first_by)
      : engine_(engine),
        answer_(std::move(answer)),
        begun_(std::move(begun)),
        timeout_(timeout),
        stream_(stream),
        first_by_(first_by) {}

  std::optional<Result<std::string_view>> poll() override {
    if (!begun_.empty() && !first_) {
      first_ = true;
      return std::string_view(begun_);
    }
    std::optional<Result<std::string_view>> piece = answer_.poll();
    if (piece && *piece) first_ = true;
    if (piece && !*piece)
      piece->error().detail = "engine " + engine_ + ": " + piece->error().detail;
    return piece;
  }

  Task<Result<void>> wait(Deadline& deadline) override {
    Time by = Time::max();
    if (stream_) by = first_ ? Clock::now() + timeout_.between_tokens : first_by_;
    Deadline gap(deadline, by);
    Result<void> ready = co_await answer_.wait(gap);
    if (!ready) {
      Error& error = ready.error();
      if (gap.why() == Why::time && !deadline.over()) {
        error.detail = first_ ? "it sent nothing for timeout.between_tokens"
                              : "its first token did not come in timeout.first_token";
      }
      error.detail = "engine " + engine_ + ": " + error.detail;
    }
    co_return ready;
  }

 private:
  const std::string& engine_;
  http::ClientAnswer answer_;
  const std::string begun_;
  const settings::EngineSettings::Timeout timeout_;
  const bool stream_;
  const Time first_by_;
  bool first_ = false;  // the first bytes were given
};

}  // namespace

OpenAiEngine::OpenAiEngine(const settings::EngineSettings& settings, http::Url url,
                           std::shared_ptr<net::TlsClient> tls, std::size_t connections, Loop& loop,
                           http::PoolMetrics metrics)
    : settings_(settings),
      site_(settings, url),
      pool_(loop,
            {std::move(url), std::move(tls), connections, settings.connections.idle,
             settings.connections.connect_timeout},
            metrics) {}

Error OpenAiEngine::named(Error error) const {
  error.detail = "engine " + settings_.name + ": " + error.detail;
  return error;
}

std::string OpenAiEngine::head_for(const Call& call, std::size_t length) const {
  const Question& question = call.question;
  std::string head;
  head.reserve(1024);
  head += question.method;
  head += ' ';
  head += site_.target(question.target);
  head += " HTTP/1.1\r\n";
  head += site_.fields();
  head += question.stream ? "accept: text/event-stream\r\n" : "accept: application/json, */*\r\n";
  head += "accept-encoding: identity\r\nx-request-id: ";
  head += call.request_id;
  head += "\r\n";
  if (!question.content_type.empty()) {
    head += "content-type: ";
    head += question.content_type;
    head += "\r\n";
  }
  if (length > 0 || question.method == "POST" || question.method == "PUT") {
    head += "content-length: ";
    head += std::to_string(length);
    head += "\r\n";
  }
  for (const HeaderView& header : call.headers) {
    // What the operator configured is not the client's to change.
    const bool configured =
        std::any_of(settings_.headers.begin(), settings_.headers.end(),
                    [&](const settings::NamedValue& own) { return own.name == header.name; });
    if (configured) continue;
    head += header.name;
    head += ": ";
    head += header.value;
    head += "\r\n";
  }
  if (!call.traceparent.empty()) {
    head += "traceparent: ";
    head += call.traceparent;
    head += "\r\n";
  }
  head += "\r\n";
  return head;
}

Task<Result<http::ClientAnswer>> OpenAiEngine::ask(const Call& call, Time first_by,
                                                   Deadline& deadline) {
  Pieces body;
  cut(call, body);
  const std::string head = head_for(call, body.bytes);
  std::array<std::string_view, 6> pieces;
  pieces[0] = head;
  for (std::size_t i = 0; i < body.count; ++i) pieces[i + 1] = body.parts[i];
  const std::span<const std::string_view> request(pieces.data(), body.count + 1);

  Deadline first(deadline, first_by);
  Result<http::ClientAnswer> answer =
      co_await http::exchange(pool_, request, call.question.method == "HEAD", first);
  if (answer) co_return answer;
  Error error = std::move(answer).error();
  if (error.kind == Kind::timeout && first.why() == Why::time && !deadline.over()) {
    error.detail = "its first token did not come in timeout.first_token";
  }
  co_return named(std::move(error));
}

Task<Result<Answer>> OpenAiEngine::call(const Call& call, Deadline& deadline) {
  const bool stream = call.question.stream;
  const Time first_by = stream ? Clock::now() + settings_.timeout.first_token : Time::max();
  Result<http::ClientAnswer> got = co_await ask(call, first_by, deadline);
  if (!got) co_return std::move(got).error();
  const http::ResponseHead& head = got->head();
  if (head.status >= 300 && head.status < 400 && head.status != 304) {
    co_return named({Kind::broken, Source::engine, false,
                     "it answered with a redirect, and redirects are not followed; mend its url"});
  }
  const std::string_view coding = head.find("content-encoding");
  if (!coding.empty() && !http::equal_lower(coding, "identity")) {
    co_return named(
        {Kind::broken, Source::engine, false, "its answer is encoded, which was not asked for"});
  }
  Answer answer;
  copy_head(head, answer);
  const http::Framing framing = got->framing();
  if (framing.end == http::BodyEnd::none) co_return answer;

  // What is small goes on whole: where the length says so, and JSON whatever its coding, since
  // nobody can use the half of it.
  const bool events = answer.event_stream();
  const bool known = framing.end == http::BodyEnd::length;
  const bool json = answer.content_type.starts_with("application/json");
  if (!events && (known ? framing.length <= kWhole : json)) {
    Result<bool> whole = co_await got->gather(answer.body, kWhole, deadline);
    if (!whole) co_return named(std::move(whole).error());
    if (*whole) co_return answer;
  }
  if (known) answer.length = framing.length;
  std::string begun = std::move(answer.body);
  answer.body.clear();
  answer.rest = std::make_unique<EngineFlow>(settings_.name, *std::move(got), std::move(begun),
                                             settings_.timeout, events, first_by);
  co_return answer;
}

Task<Result<std::vector<Model>>> OpenAiEngine::models(Deadline& deadline) {
  const std::string head = "GET " + site_.target("/v1/models") + " HTTP/1.1\r\n" + site_.fields() +
                           "accept: application/json\r\naccept-encoding: identity\r\n\r\n";
  const std::array<std::string_view, 1> request = {head};
  const auto failed = [this](std::string detail) {
    return named({Kind::broken, Source::engine, false, std::move(detail)});
  };
  Result<http::ClientAnswer> answer = co_await http::exchange(pool_, request, false, deadline);
  if (!answer) co_return named(std::move(answer).error());
  const int status = answer->head().status;
  if (status == 401 || status == 403) {
    co_return Error{Kind::refused, Source::engine, false,
                    "engine " + settings_.name + " refused the gateway's credentials"};
  }
  if (status != 200) {
    co_return failed("GET models was answered with " + std::to_string(status) +
                     (status == 404 ? "; the path in its url may be wrong or missing" : ""));
  }
  std::string body;
  Result<bool> whole = co_await answer->gather(body, kMostModels, deadline);
  if (!whole) co_return named(std::move(whole).error());
  if (!*whole) co_return failed("its list of models is over 4 MiB");
  simdjson::dom::parser parser;
  simdjson::dom::array data;
  if (parser.parse(body)["data"].get(data) != simdjson::SUCCESS) {
    co_return failed("its list of models is not JSON with data[]");
  }
  std::vector<Model> models;
  for (const simdjson::dom::element one : data) {
    std::string_view id;
    if (one["id"].get(id) != simdjson::SUCCESS || id.empty()) continue;
    Model model;
    model.id = id;
    std::string_view owner;
    if (one["owned_by"].get(owner) == simdjson::SUCCESS) model.owned_by = owner;
    std::int64_t created = 0;
    if (one["created"].get(created) == simdjson::SUCCESS) model.created = created;
    models.push_back(std::move(model));
  }
  co_return models;
}

}  // namespace penstock::engine
