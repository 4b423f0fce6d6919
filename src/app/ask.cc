// `penstock ask "question"`: one question, streamed to the terminal.

#include <fmt/format.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "app/client.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "dialect/json.h"
#include "dialect/stream.h"

namespace penstock::app {
namespace {

constexpr Duration kPatience = 10min;
constexpr const char* kNoChoice = "the answer holds no choice";

// What is said of an answer when it has ended.
struct Facts {
  std::string engine = "-";
  std::string cache = "-";
  Duration first{};
  Duration total{};
  std::uint64_t tokens = 0;
  bool counted = false;  // by the engine
  bool chosen = false;   // there was a choice, if only an empty one
};

std::string milliseconds(Duration duration) {
  return fmt::format("{:.1f} ms", std::chrono::duration<double, std::milli>(duration).count());
}

// The answer's text on its way to standard output: as it is into a pipe, but a terminal gets no
// control bytes of an engine's.
class Page {
 public:
  void print(std::string_view text) { put(terminal_ ? visible_.feed(text) : std::string(text)); }
  // Ends the line that was begun, so that what follows has one of its own.
  void end_line() {
    put(visible_.end());
    if (begun_) put("\n");
  }
  void end() {
    put(visible_.end());
    put("\n");
  }

 private:
  void put(std::string_view text) {
    if (text.empty()) return;
    begun_ = text.back() != '\n';
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  const bool terminal_ = isatty(STDOUT_FILENO) == 1;
  bool begun_ = false;  // a line that has no end yet
  Visible visible_;
};

// The first model that the gateway lists.
Task<Result<std::string>> first_model(Client& client, Deadline& deadline) {
  const std::string request =
      "GET " + client.pool().origin().path + "/v1/models HTTP/1.1\r\n" + client.fields() + "\r\n";
  const std::array<std::string_view, 1> pieces = {request};
  Result<http::ClientAnswer> answer =
      co_await http::exchange(client.pool(), pieces, false, deadline);
  if (!answer) co_return std::move(answer).error();
  const int status = answer->head().status;
  Result<std::string> body = co_await read_all(*answer, deadline);
  if (!body) co_return std::move(body).error();
  if (status != 200) co_return said(message_of(status, *body));
  simdjson::dom::parser parser;
  std::string_view id;
  if (parser.parse(*body)["data"].at(0)["id"].get(id) != simdjson::SUCCESS) {
    co_return said("it lists no model; name one with --model");
  }
  co_return std::string(id);
}

// Whether an answer, or an event of a stream, carries an error; null says that there is none.
bool has_error(simdjson::dom::element object) {
  simdjson::dom::element error;
  return object["error"].get(error) == simdjson::SUCCESS && !error.is_null();
}

Error error_of(std::string_view json) {
  std::string message = error_message(json);
  return said(message.empty() ? "it answered with an error" : std::move(message));
}

// Prints the text of one event of a stream.
Result<void> print_chunk(std::string_view data, Facts& facts, Time begun, Page& page) {
  simdjson::dom::parser parser;
  simdjson::dom::element chunk;
  const simdjson::padded_string padded(data);
  if (parser.parse(padded).get(chunk) != simdjson::SUCCESS) return {};
  if (has_error(chunk)) return error_of(data);
  simdjson::dom::element choice;
  if (chunk["choices"].at(0).get(choice) == simdjson::SUCCESS) {
    facts.chosen = true;
    std::string_view text;
    if (choice["delta"]["content"].get(text) == simdjson::SUCCESS && !text.empty()) {
      if (facts.first == Duration{}) facts.first = Clock::now() - begun;
      if (!facts.counted) ++facts.tokens;
      page.print(text);
    }
  }
  std::uint64_t tokens = 0;
  if (chunk["usage"]["completion_tokens"].get(tokens) == simdjson::SUCCESS) {
    facts.tokens = tokens;
    facts.counted = true;
  }
  return {};
}

// Prints an answer that came in one piece.
Result<void> print_whole(std::string_view body, Facts& facts, Page& page) {
  simdjson::dom::parser parser;
  simdjson::dom::element object;
  const simdjson::padded_string padded(body);
  if (parser.parse(padded).get(object) != simdjson::SUCCESS) {
    return said("it answered with something that is not JSON");
  }
  if (has_error(object)) return error_of(body);
  simdjson::dom::element choice;
  if (object["choices"].at(0).get(choice) != simdjson::SUCCESS) return said(kNoChoice);
  facts.chosen = true;
  std::string_view text;
  if (choice["message"]["content"].get(text) == simdjson::SUCCESS) page.print(text);
  if (object["usage"]["completion_tokens"].get(facts.tokens) != simdjson::SUCCESS) {
    facts.tokens = 0;
  }
  return {};
}

std::string body_of(const AskOptions& options, const std::string& model) {
  std::string body;
  dialect::JsonWriter json(body);
  json.begin_object().member("model", model).key("messages").begin_array().begin_object();
  json.member("role", "user").member("content", options.question).end_object().end_array();
  json.member("temperature", 0);
  if (!options.plain) {
    json.member("stream", true).key("stream_options").begin_object();
    json.member("include_usage", true).end_object();
  }
  json.end_object();
  return body;
}

// Prints a stream, event by event.
Task<Result<void>> relay(http::ClientAnswer& answer, Facts& facts, Time begun, Page& page,
                         Deadline& deadline) {
  dialect::EventSplitter splitter;
  bool done = false;
  for (;;) {
    Result<std::string_view> piece = co_await answer.next(deadline);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) break;
    splitter.feed(*piece);
    while (const auto event = splitter.next()) {
      if (event->data == "[DONE]") {
        done = true;
      } else if (!event->data.empty()) {
        Result<void> printed = print_chunk(event->data, facts, begun, page);
        if (!printed) co_return std::move(printed).error();
      }
    }
    if (splitter.too_large()) co_return said("an event of the stream is too large");
  }
  if (!done) co_return said("the answer ended before its end");
  if (!facts.chosen) co_return said(kNoChoice);
  co_return Result<void>();
}

Task<Result<Facts>> ask(Client& client, const AskOptions& options, Page& page, Deadline& deadline) {
  std::string model = options.model;
  if (model.empty()) {
    Result<std::string> first = co_await first_model(client, deadline);
    if (!first) co_return std::move(first).error();
    model = *std::move(first);
  }
  const std::string body = body_of(options, model);
  const std::string head =
      "POST " + client.pool().origin().path + "/v1/chat/completions HTTP/1.1\r\n" +
      client.fields() +
      "content-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
      "\r\n\r\n";
  const std::array<std::string_view, 2> pieces = {head, body};
  Facts facts;
  const Time begun = Clock::now();
  Result<http::ClientAnswer> answer =
      co_await http::exchange(client.pool(), pieces, false, deadline);
  if (!answer) co_return std::move(answer).error();
  const int status = answer->head().status;
  const auto field = [&](std::string_view name, std::string& to) {
    if (const std::string_view value = answer->head().find(name); !value.empty()) {
      to = visible(value);
    }
  };
  field("x-penstock-engine", facts.engine);
  field("x-penstock-cache", facts.cache);
  const bool events = answer->head().find("content-type").starts_with("text/event-stream");
  if (status == 200 && events) {
    Result<void> relayed = co_await relay(*answer, facts, begun, page, deadline);
    if (!relayed) co_return std::move(relayed).error();
  } else {
    Result<std::string> whole = co_await read_all(*answer, deadline);
    if (!whole) co_return std::move(whole).error();
    if (status != 200) co_return said(message_of(status, *whole));
    facts.first = Clock::now() - begun;
    Result<void> printed = print_whole(*whole, facts, page);
    if (!printed) co_return std::move(printed).error();
  }
  facts.total = Clock::now() - begun;
  co_return facts;
}

}  // namespace

void add_ask_options(CLI::App& app, AskOptions& options) {
  app.add_option("QUESTION", options.question, "What you want to know")->required();
  app.add_option("--url", options.url, "The gateway")->type_name("URL")->capture_default_str();
  app.add_option("--model", options.model,
                 "The model; the first that the gateway lists if left out")
      ->type_name("NAME");
  app.add_option("--api-key", options.api_key, "Sent as a bearer token")
      ->type_name("KEY")
      ->envname("PENSTOCK_API_KEY");
  app.add_flag("--plain", options.plain, "The whole answer at once instead of streamed");
}

int ask_command(const AskOptions& options) {
  constexpr const char* kName = "penstock ask";
  if (options.question.empty()) return bad_usage(kName, "QUESTION is empty");
  int code = kGood;
  const std::unique_ptr<Client> client =
      Client::make(kName, options.url, options.api_key, "--api-key", code);
  if (!client) return code;
  std::optional<Result<Facts>> result;
  Page page;
  const auto work = [](Client& c, const AskOptions& o, Page& on,
                       std::optional<Result<Facts>>& to) -> Task<void> {
    Deadline deadline(c.loop(), Clock::now() + kPatience);
    Result<Facts> facts = co_await ask(c, o, on, deadline);
    to.emplace(std::move(facts));
    c.loop().stop();
  };
  client->loop().spawn(work(*client, options, page, result));
  client->loop().run();
  if (!*result) {
    page.end_line();
    return client->failed(result->error());
  }
  const Facts& facts = **result;
  page.end();
  fmt::print(stderr, "\nengine {} | first token {} | total {} | cache {} | {} tokens\n",
             facts.engine, milliseconds(facts.first), milliseconds(facts.total), facts.cache,
             facts.tokens);
  return kGood;
}

}  // namespace penstock::app
