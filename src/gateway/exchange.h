// One exchange as the gateway's stages see it. Known to gateway/ only.
#pragma once

#include "gateway/gateway.h"
#include "gateway/look.h"
#include "gateway/recorder.h"

namespace penstock::gateway {

// What becomes of a call that no request waits for.
struct Ahead {
  explicit Ahead(Loop& loop) : ended(loop) {}
  Signal ended;
  bool known = false;  // no engine was asked: it was kept already
  bool kept = false;
  bool in_memory = false;
  bool in_redis = false;
  int status = 0;  // of the engine's answer; 0: there was none
  std::optional<Error> error;
};

// What a call for all is made from.
struct Gateway::Asked {
  const std::shared_ptr<const Snapshot>& with;
  const route::Plan& plan;
  const Look& look;
  const Question& question;
  std::span<const HeaderView> headers;
  std::string_view request_id;
  std::string_view scope;  // whose the answer is
  const BillPtr& bill;     // of who asks
  std::shared_ptr<Ahead> ahead = nullptr;
};

struct Exchange {
  Exchange(Gateway& gateway, http::Request& asked, http::Reply& said, Deadline& until);

  http::Request& request;
  http::Reply& reply;
  Deadline& deadline;
  const std::shared_ptr<const Snapshot> with;  // the settings this request began with
  StandingPtr who;                             // who asks
  Question question;
  Buffer decoded;    // the question's body, where it came in a content coding
  std::string form;  // the question's body, where it had to be written anew
  route::Plan plan;
  std::optional<complexity::Complexity> judged;  // from parse() on, so that it may route
  cache::BytesTag bytes;                         // what is known of the question's very bytes
  Look look;                                     // what the cache has
  Recorder recorder;                             // what is settled at the end, on every exit

  const settings::Settings& settings() const { return *with->settings; }
  engine::Engine& engine() const { return *with->engines[plan.engine]; }
};

}  // namespace penstock::gateway
