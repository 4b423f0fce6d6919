// `penstock engine`: the simulated engine as a server of its own.

#include <fmt/format.h>
#include <csignal>

#include <CLI/CLI.hpp>
#include <thread>

#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "app/worker.h"
#include "dialect/answer.h"
#include "dialect/refusal.h"
#include "engine/simulated.h"
#include "gateway/passthrough.h"
#include "gateway/refused.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

// The least that an OpenAI-compatible server is.
class EngineHandler final : public http::Handler {
 public:
  EngineHandler(engine::SimulatedOptions options, std::shared_ptr<engine::SimulatedHall> hall,
                std::string api_key)
      : engine_(std::move(options), std::move(hall)), api_key_(std::move(api_key)) {}

  bool answer_now(http::Request& request, http::Reply& reply) override {
    if (request.head.path != "/health") return false;
    reply.status(200);
    reply.field("content-type", "application/json");
    reply.finish(R"({"status":"ok"})");
    return true;
  }

  Task<void> serve(http::Request& request, http::Reply& reply, Deadline& deadline) override {
    Question question;
    question.endpoint = gateway::endpoint_of(request.head.path);
    question.method = request.head.method;
    question.target = request.head.target;
    question.body = request.body;
    if (!admitted(request.head)) {
      Refusal refusal;
      refusal.status = 401;
      refusal.message = "Incorrect API key provided.";
      refusal.code = "invalid_api_key";
      refuse_with(reply, refusal);
      co_return;
    }
    if (question.endpoint == Endpoint::models) {
      co_await list(reply, deadline);
      co_return;
    }
    if (auto refusal = gateway::read_question(question, request.head, reader_, false)) {
      refuse_with(reply, *refusal);
      co_return;
    }
    const engine::Call call{question, {}, {}, {}, false};
    Result<Answer> answer = co_await engine_.call(call, deadline);
    if (!answer) {
      // A real engine that breaks says nothing more.
      if (answer.error().kind == Kind::broken) co_return;
      refuse_with(reply, dialect::refusal_of(answer.error()));
      co_return;
    }
    reply.status(answer->status);
    reply.field("content-type", answer->content_type);
    for (const Header& header : answer->headers) reply.field(header.name, header.value);
    if (!answer->rest) {
      reply.finish(answer->body);
      co_return;
    }
    const bool begun = co_await reply.begin_stream();
    if (!begun) co_return;
    for (;;) {
      Result<std::string_view> piece = co_await answer->rest->next(deadline);
      if (!piece) {
        reply.abort();
        co_return;
      }
      if (piece->empty()) break;
      const bool sent = co_await reply.write(*piece);
      if (!sent) co_return;
    }
    co_await reply.end_stream();
  }

  void refuse(const http::BadMessage& bad, const http::RequestHead&, http::Reply& reply) override {
    refuse_with(reply, gateway::refusal_of_http(bad, settings::Listen::Limits(), {}));
  }

 private:
  // By either of the ways that engines take a key.
  bool admitted(const http::RequestHead& head) const {
    return api_key_.empty() || head.find("authorization") == "Bearer " + api_key_ ||
           head.find("api-key") == api_key_;
  }

  Task<void> list(http::Reply& reply, Deadline& deadline) {
    Result<std::vector<engine::Model>> models = co_await engine_.models(deadline);
    std::vector<dialect::ModelView> views;
    for (const engine::Model& model : *models) {
      views.push_back({model.id, model.owned_by, model.created});
    }
    std::string body;
    dialect::write_models(body, views);
    reply.status(200);
    reply.field("content-type", "application/json");
    reply.finish(body);
  }

  void refuse_with(http::Reply& reply, const Refusal& refusal) {
    std::string body;
    dialect::write_refusal(body, refusal);
    reply.status(refusal.status);
    reply.field("content-type", "application/json");
    reply.finish(body);
  }

  engine::SimulatedEngine engine_;
  const std::string api_key_;
  dialect::QuestionReader reader_;
};

// A loop on a thread with its listener.
struct EngineWorker {
  EngineWorker(unsigned index, const engine::SimulatedOptions& options,
               std::shared_ptr<engine::SimulatedHall> hall, const std::string& api_key,
               http::ConnectionCount& count)
      : loop(index),
        handler(options, std::move(hall), api_key),
        server(loop, handler, http::ServerLimits{}, http::ServerMetrics(), count) {}
  ~EngineWorker() {
    if (!thread.joinable()) return;
    asio::post(loop.executor(), [this] {
      server.drain();
      server.close_all();
      asio::post(loop.executor(), [this] { loop.stop(); });
    });
    thread.join();
  }

  Loop loop;
  EngineHandler handler;
  http::Server server;
  std::thread thread;
};

// What the options say, or false and the reason.
bool read_behaviour(const EngineOptions& options, engine::SimulatedOptions& to, std::string& why) {
  settings::EngineSettings::Simulated& like = to.behaviour;
  const auto share = [&](const char* name, const std::string& text, double& value) {
    const auto read = settings::parse_ratio(text);
    if (!read) why = fmt::format("{} takes a share such as 5%, not \"{}\"", name, visible(text));
    if (read) value = *read;
  };
  share("--errors", options.errors, like.errors);
  share("--stalls", options.stalls, like.stalls);
  share("--disconnects", options.disconnects, like.disconnects);
  share("--rate-limited", options.rate_limited, like.rate_limited);
  const auto first = settings::parse_duration(options.first_token);
  if (!first) {
    why = fmt::format("--first-token takes a time such as 200ms, not \"{}\"",
                      visible(options.first_token));
  } else {
    like.first_token = *first;
  }
  like.seed = options.seed;
  like.first_token_sigma = options.sigma;
  like.tokens_per_second = options.tokens_per_second;
  like.tokens = options.tokens;
  like.slots = options.slots;
  like.queue = options.queue;
  to.answer_bytes = options.answer_bytes;
  if (!options.models.empty()) to.models = options.models;
  if (like.errors + like.stalls + like.disconnects + like.rate_limited > 1) {
    why = "the shares of faults add up to more than 100%";
  }
  if (like.slots == 0) why = "--slots must be at least 1";
  if (like.tokens == 0) why = "--tokens must be at least 1";
  if (!(like.first_token_sigma >= 0)) why = "--sigma must not be negative";
  if (!(like.tokens_per_second >= 0)) why = "--tokens-per-second must not be negative";
  return why.empty();
}

}  // namespace

void add_engine_options(CLI::App& app, EngineOptions& options) {
  const auto share = [&app](const char* name, std::string& into, const char* help) {
    app.add_option(name, into, help)->type_name("SHARE")->capture_default_str();
  };
  app.footer(
      "Examples:\n"
      "  penstock engine --first-token 0s --tokens-per-second 0        as fast as it can\n"
      "  penstock engine --errors 5% --disconnects 5% --stalls 1%      one that is ill\n"
      "  penstock engine --listen 127.0.0.1:9001 --model a --model b   another, with two models\n"
      "\n"
      "In front of it: penstock serve --engine http://127.0.0.1:9000/v1\n");
  app.add_option("--listen", options.listen, "Where to listen; port 0 takes a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--model", options.models, "A model to list; may be given again")
      ->type_name("NAME")
      ->take_all()
      ->default_str(engine::SimulatedOptions().models.front());
  app.add_option("--api-key", options.api_key,
                 "Refuse who does not send this key, as bearer or api-key, with 401")
      ->type_name("KEY");
  app.add_option("--seed", options.seed, "The same seed and question, the same answer")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--first-token", options.first_token,
                 "Median time to the first token; 0s for none")
      ->type_name("TIME")
      ->capture_default_str();
  app.add_option("--sigma", options.sigma, "Spread of that time (log-normal)")
      ->type_name("SIGMA")
      ->capture_default_str();
  app.add_option("--tokens-per-second", options.tokens_per_second, "0 for all at once")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--tokens", options.tokens, "Mean length of an answer")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--answer-bytes", options.answer_bytes, "Fixed length of an answer's text")
      ->type_name("BYTES")
      ->check(whole_number(), "");
  share("--errors", options.errors, "Answered with 500");
  share("--stalls", options.stalls, "Stopped half-way, never to go on");
  share("--disconnects", options.disconnects, "Cut off half-way");
  share("--rate-limited", options.rate_limited, "Answered with 429");
  app.add_option("--slots", options.slots, "Answers made at once")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--queue", options.queue, "Questions that wait for a slot; more get a 429")
      ->type_name("N")
      ->check(whole_number(), "")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Event loops, 1 to 64")
      ->type_name("N")
      ->capture_default_str()
      ->check(whole_number(1, 64), "");
}

int engine_command(const EngineOptions& options) {
  engine::SimulatedOptions simulated;
  std::string why;
  const auto address = settings::parse_address(options.listen);
  if (!address) why = fmt::format("--listen takes HOST:PORT, not \"{}\"", visible(options.listen));
  if (!why.empty() || !read_behaviour(options, simulated, why)) {
    return bad_usage("penstock engine", why);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  const auto hall =
      std::make_shared<engine::SimulatedHall>(simulated.behaviour.slots, simulated.behaviour.queue);
  http::ConnectionCount count{0};
  std::vector<std::unique_ptr<EngineWorker>> workers;
  asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address->host), address->port);
  if (Result<void> free = http::claim(endpoint); !free) {
    fmt::print(stderr, "penstock engine: {}\n", free.error().detail);
    return kFailed;
  }
  for (unsigned i = 0; i < options.workers; ++i) {
    workers.push_back(std::make_unique<EngineWorker>(i, simulated, hall, options.api_key, count));
    const auto bound = workers.back()->server.listen(endpoint);
    if (!bound) {
      fmt::print(stderr, "penstock engine: {}\n", bound.error().detail);
      return kFailed;
    }
    endpoint = *bound;
  }
  fmt::print("listening on http://{}/v1\n", settings::to_string(settings::Address{
                                                endpoint.address().to_string(), endpoint.port()}));
  std::fflush(stdout);
  for (auto& worker : workers) {
    worker->thread = std::thread([loop = &worker->loop] { loop->run(); });
  }
  int signal = 0;
  sigwait(&signals, &signal);
  return kGood;
}

}  // namespace penstock::app
