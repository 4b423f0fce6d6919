// The third level of the cache: what was answered to a question that means nearly the same.
//
//   miss ── the last question's text ──> Embedder ──> vector ──> SemanticIndex ──> a key
//             (a chat of words alone)     batched                 in its place       │
//   hit; level=semantic <── fresh, not purged, in memory or in Redis <── its entry ──┘
//
// A place is all that the question is but for that text: scope, model, engine, parameters, messages
// before. Whatever goes wrong is a plain miss.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/signal.h"
#include "cache/semantic.h"
#include "exchange/exchange.h"
#include "route/route.h"

namespace penstock::gateway {

struct Snapshot;

// What a question is found by.
struct Meaning {
  std::string place;          // empty: it is not one that is looked for
  std::vector<float> vector;  // a unit vector; empty: not known
};

// Texts that come within a moment go to the embedding model in one call. One a worker; belongs to
// its loop.
class Embedder {
 public:
  explicit Embedder(Loop& loop) : loop_(loop) {}
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // After failures in a row it is left alone for a while: no question waits for a model that is
  // away.
  bool available(Time now) const { return now >= rests_until_; }
  // How it went for a question.
  void succeeded() { failures_ = 0; }
  void failed(Time now);

  // The text's unit vector, by the model of this plan.
  Task<Result<std::vector<float>>> embed(std::shared_ptr<const Snapshot> with, route::Plan model,
                                         std::string text, Deadline& deadline);

 private:
  struct Batch;
  static Task<void> send(std::shared_ptr<Batch> batch);

  Loop& loop_;
  std::weak_ptr<Batch> open_;  // kept by who sends it
  int failures_ = 0;           // in a row
  Time rests_until_{};
};

}  // namespace penstock::gateway
