#include "trace/exporter.h"

#include <unordered_map>
#include <utility>

namespace penstock::trace {
namespace {

constexpr std::size_t kMostTexts = 32 * 1024 * 1024;  // bytes that wait; then requests go without
constexpr std::size_t kMostFlushes = 1024;            // that wait
constexpr std::size_t kMostKept = 8192;               // requests whose rows are to come
constexpr std::size_t kMostLinks = 128;               // of a span, as SDKs have it

std::uint64_t spans_of(const Finished& trace) { return trace.spans.size() + 1; }
std::size_t texts_of(const Finished& trace) {
  return trace.texts ? trace.texts->question.size() + trace.texts->answer.size() : 0;
}

struct TraceHash {
  std::size_t operator()(const TraceId& id) const { return id.low ^ id.high; }
};

}  // namespace

// The writes of rows, on the exporter's thread: what requests each is of is known when the spans of
// those have passed here.
class Exporter::Flushes {
 public:
  void saw(const Context& request) {
    kept_.emplace(request.trace, request);
    order_.push_back(request.trace);
    if (order_.size() <= kMostKept) return;
    if (const auto oldest = kept_.find(order_.front()); oldest != kept_.end()) kept_.erase(oldest);
    order_.pop_front();
  }

  // Those of the round before are told now: a request may end a moment behind its row.
  void next(std::deque<Flush> came, bool last, const Facts& facts, std::vector<ExportSpan>& out) {
    for (const Flush& one : held_) tell(one, facts, out);
    held_ = std::move(came);
    if (!last) return;
    for (const Flush& one : held_) tell(one, facts, out);
    held_.clear();
  }
  bool waiting() const { return !held_.empty(); }

 private:
  void tell(const Flush& flush, const Facts& facts, std::vector<ExportSpan>& out) {
    std::vector<Context> links;
    for (const TraceId& id : flush.requests) {
      const auto [from, to] = kept_.equal_range(id);
      for (auto at = from; at != to && links.size() < kMostLinks; ++at) {
        links.push_back(at->second);
      }
      if (flush.error.empty()) kept_.erase(from, to);  // else it comes again
    }
    if (links.empty() && flush.error.empty()) return;
    out.push_back(convert(flush, facts, std::move(links), random_));
  }

  std::deque<Flush> held_;
  std::unordered_multimap<TraceId, Context, TraceHash> kept_;
  std::deque<TraceId> order_;
  Random random_;
};

Exporter::Exporter(Options options)
    : state_(std::make_shared<State>(std::move(options))),
      thread_([state = state_] { run(state); }) {}

Exporter::~Exporter() {
  if (thread_.joinable()) stop(Duration::zero());
}

void Exporter::add(Finished&& trace) {
  const std::lock_guard lock(state_->mutex);
  if (state_->queue.size() >= state_->options.queue || state_->stopping) {
    state_->dropped.fetch_add(spans_of(trace), std::memory_order_relaxed);
    return;
  }
  if (state_->texts + texts_of(trace) > kMostTexts) trace.texts = nullptr;
  state_->texts += texts_of(trace);
  state_->queue.push_back(std::move(trace));
  // The thread looks by itself each `delay`; a full batch need not wait for that.
  if (state_->queue.size() == state_->options.batch) state_->changed.notify_all();
}

void Exporter::add(Flush&& flush) {
  const std::lock_guard lock(state_->mutex);
  if (state_->flushes.size() < kMostFlushes && !state_->stopping) {
    state_->flushes.push_back(std::move(flush));
  }
}

void Exporter::set_facts(Facts facts) {
  auto own = std::make_shared<const Facts>(std::move(facts));
  const std::lock_guard lock(state_->mutex);
  state_->facts = std::move(own);
}

std::size_t Exporter::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

bool Exporter::stop(Duration patience) {
  if (!thread_.joinable()) return true;
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  const bool ended = state_->changed.wait_for(lock, patience, [this] { return state_->ended; });
  if (!ended) {
    state_->gone = true;
    for (const Finished& one : state_->queue) {
      state_->dropped.fetch_add(spans_of(one), std::memory_order_relaxed);
    }
    state_->queue.clear();
    state_->flushes.clear();
  }
  lock.unlock();
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
  return ended;
}

void Exporter::run(const std::shared_ptr<State>& state) {
  const Options& options = state->options;
  const auto tell = [&](const Error& error) {
    {
      const std::lock_guard lock(state->mutex);
      if (state->gone) return;
    }
    options.failed(error);
  };
  Result<std::shared_ptr<Backend>> backend = options.make();
  if (!backend) tell(backend.error());
  std::unique_lock lock(state->mutex);
  bool well = true;
  std::vector<ExportSpan> spans;
  Flushes flushes;
  while (!state->stopping || !state->queue.empty() || !state->flushes.empty() ||
         flushes.waiting()) {
    state->changed.wait_for(lock, options.delay, [&] {
      return state->stopping || state->queue.size() >= options.batch;
    });
    const std::shared_ptr<const Facts> facts = state->facts;
    spans.clear();
    std::vector<Finished> taken;
    for (std::size_t i = 0; i < options.batch && !state->queue.empty(); ++i) {
      taken.push_back(std::move(state->queue.front()));
      state->queue.pop_front();
      state->texts -= texts_of(taken.back());
    }
    std::deque<Flush> came = std::exchange(state->flushes, {});
    const bool last = state->stopping && state->queue.empty();
    if (!backend) {
      for (const Finished& one : taken) {
        state->dropped.fetch_add(spans_of(one), std::memory_order_relaxed);
      }
      continue;
    }
    lock.unlock();
    for (const Finished& one : taken) {
      const bool told = one.texts && options.messages;
      std::vector<ExportSpan> more =
          convert(one, *facts, told ? options.messages(*one.texts) : Messages());
      std::move(more.begin(), more.end(), std::back_inserter(spans));
      flushes.saw(one.seen.context);
    }
    flushes.next(std::move(came), last, *facts, spans);
    if (spans.empty()) {
      lock.lock();
      continue;
    }
    const bool sent = (*backend)->send(spans);
    (sent ? state->exported : state->failed).fetch_add(spans.size(), std::memory_order_relaxed);
    if (!sent && well) {
      tell({Kind::unreachable, Source::store, true, "the backend did not take a batch of spans"});
    }
    if (sent && !well && options.recovered) options.recovered();
    well = sent;
    lock.lock();
  }
  lock.unlock();
  if (backend) *backend = nullptr;  // it may take a while
  lock.lock();
  state->ended = true;
  state->changed.notify_all();
}

}  // namespace penstock::trace
