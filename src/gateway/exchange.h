// One exchange as the gateway's stages see it. Known to gateway/ only.
#pragma once

#include "gateway/gateway.h"
#include "gateway/recorder.h"

namespace penstock::gateway {

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
  cache::Key key{};           // where the answer may be kept
  cache::BytesTag bytes;      // what is known of the question's very bytes
  std::uint64_t version = 0;  // of what the engine knew when the key was made
  cache::EntryPtr entry;      // the answer, where the cache had it
  Recorder recorder;          // what is settled at the end, on every exit

  const settings::Settings& settings() const { return *with->settings; }
  engine::Engine& engine() const { return *with->engines[plan.engine]; }
};

}  // namespace penstock::gateway
