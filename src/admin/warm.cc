// Warming of the cache, for the admin API: begun, fed, looked at, stopped.
#include "access/json.h"
#include "admin/records.h"
#include "dialect/json.h"
#include "exchange/refusals.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;

constexpr unsigned kMostConcurrency = 256;

Answer refused(Refusal refusal) {
  return {refusal.status, {}, "application/json", std::move(refusal)};
}

Refusal not_valid(std::string param, const std::string& expected) {
  std::string message = "Invalid '" + param + "': expected " + expected + ".";
  return refusal(Reason::invalid_value, std::move(message), std::move(param));
}

// The beginning of a line, so that who sent it knows which one is meant.
std::string beginning(std::string_view line) {
  constexpr std::size_t kShown = 60;
  return '"' + std::string(line.substr(0, kShown)) + (line.size() > kShown ? "...\": " : "\": ");
}

// What a body says.
struct Order {
  gateway::Warmer::Plan plan{.source = "the admin API"};
  gateway::WarmDefaults defaults;
  std::string warming;  // the one that it belongs to; empty: it begins one
  std::vector<std::string> lines;
  bool more = false;
};

bool take_lines(simdjson::dom::element value, std::vector<std::string>& to) {
  simdjson::dom::array lines;
  if (value.get(lines) != simdjson::SUCCESS) return false;
  for (const simdjson::dom::element line : lines) {
    std::string_view text;
    if (line.get(text) != simdjson::SUCCESS || text.empty()) return false;
    to.emplace_back(text);
  }
  return true;
}

Result<Order, Refusal> read_order(std::string_view body) {
  access::StrictJson json;
  const auto object = json.read(body);
  if (!object) {
    return refusal(Reason::invalid_json,
                   "The body is not valid JSON: " + object.error().detail + ".");
  }
  Order order;
  bool lines = false;
  for (const auto [name, value] : *object) {
    const auto text = [&](std::string& to) {
      std::string_view given;
      if (value.get(given) != simdjson::SUCCESS || given.size() > 256) return false;
      to = given;
      return true;
    };
    const std::string member(name.substr(0, 64));
    if (name == "lines") {
      lines = take_lines(value, order.lines);
      if (!lines) return not_valid(member, "a list of strings, none of them empty");
    } else if (name == "model" || name == "tenant" || name == "source" || name == "warming") {
      std::string& to = name == "model"    ? order.defaults.model
                        : name == "tenant" ? order.defaults.tenant
                        : name == "source" ? order.plan.source
                                           : order.warming;
      if (!text(to)) return not_valid(member, "a string of up to 256 bytes");
    } else if (name == "concurrency") {
      std::uint64_t number = 0;
      if (value.get(number) != simdjson::SUCCESS || number < 1 || number > kMostConcurrency) {
        return not_valid(member, "a whole number from 1 to 256");
      }
      order.plan.concurrency = static_cast<unsigned>(number);
    } else if (name == "rate") {
      if (value.get(order.plan.rate) != simdjson::SUCCESS || order.plan.rate < 0 ||
          order.plan.rate > gateway::Warmer::kMostRate) {
        return not_valid(member, "questions a second, from 0 (no bound) to 1000000");
      }
    } else if (name == "more") {
      if (value.get(order.more) != simdjson::SUCCESS) return not_valid(member, "true or false");
    } else {
      return refusal(Reason::unknown_member, "There is no member '" + member + "' here.", member);
    }
  }
  if (!lines) {
    return refusal(Reason::missing_required_parameter, "Missing required parameter: 'lines'.",
                   "lines");
  }
  return order;
}

std::string shown(const gateway::Warmer::State& state) {
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object();
  if (state.id.empty()) {
    json.member_null("warming");
  } else {
    json.member("warming", state.id);
  }
  json.member("source", state.source).member("running", state.running);
  json.member("questions", state.total).member("done", state.done());
  json.member("kept", state.kept).member("known", state.known);
  json.member("refused", state.refused).member("failed", state.failed);
  json.member("left_out", state.left_out);
  json.member("full", state.full).member("stopped", state.stopped);
  json.member("seconds", std::chrono::duration<double>(state.took).count());
  json.key("reasons").begin_array();
  for (const std::string& reason : state.reasons) json.value(reason);
  json.end_array().end_object();
  return out;
}

}  // namespace

Task<Answer> RecordsRoom::warm(Ask ask, Deadline& deadline) {
  Result<Order, Refusal> order = read_order(ask.body);
  if (!order) co_return refused(order.error());
  gateway::Warmer& warmer = house_.warmer;
  std::string id = order->warming;
  if (id.empty()) {
    const std::optional<std::string> begun = warmer.begin(order->plan);
    if (!begun) {
      co_return refused(refusal(Reason::conflict, "The cache is being warmed already."));
    }
    id = *begun;
    co_await write_down(ask, "cache.warm", order->plan.source,
                        "{\"lines\":" + std::to_string(order->lines.size()) + "}", deadline);
  }
  std::vector<gateway::WarmQuestion> questions;
  std::vector<std::string> wrong;
  for (const std::string& line : order->lines) {
    Result<gateway::WarmQuestion> question = gateway::read_warm_line(line, order->defaults);
    if (question) {
      questions.push_back(*std::move(question));
    } else {
      wrong.push_back(beginning(line) + question.error().detail);
    }
  }
  switch (warmer.add(id, std::move(questions), std::move(wrong), order->more)) {
    case gateway::Warmer::Added::gone:
      co_return refused(refusal(Reason::conflict, "This warming has ended."));
    case gateway::Warmer::Added::no_memory: {
      Refusal full = refusal(Reason::overloaded, "There is no memory left for more questions.");
      full.retry_after = 1s;
      co_return refused(std::move(full));
    }
    case gateway::Warmer::Added::added: break;
  }
  Answer answer{202, shown(warmer.state()), "application/json", std::nullopt};
  answer.part = !order->warming.empty();
  co_return answer;
}

Task<Answer> RecordsRoom::show_warming(Ask, Deadline&) {
  co_return Answer{200, shown(house_.warmer.state()), "application/json", std::nullopt};
}

Task<Answer> RecordsRoom::stop_warming(Ask ask, Deadline& deadline) {
  house_.warmer.stop();
  co_await write_down(ask, "cache.warm_stop", "warming", "{}", deadline);
  co_return Answer{200, shown(house_.warmer.state()), "application/json", std::nullopt};
}

}  // namespace penstock::admin
