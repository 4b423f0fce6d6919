#include "trace/exporter.h"

namespace penstock::trace {
namespace {

std::uint64_t spans_of(const Finished& trace) { return trace.spans.size() + 1; }

}  // namespace

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
  state_->queue.push_back(std::move(trace));
  // The thread looks by itself each `delay`; a full batch need not wait for that.
  if (state_->queue.size() == state_->options.batch) state_->changed.notify_all();
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
  while (!state->stopping || !state->queue.empty()) {
    state->changed.wait_for(lock, options.delay, [&] {
      return state->stopping || state->queue.size() >= options.batch;
    });
    const std::shared_ptr<const Facts> facts = state->facts;
    spans.clear();
    for (std::size_t i = 0; i < options.batch && !state->queue.empty(); ++i) {
      const Finished one = std::move(state->queue.front());
      state->queue.pop_front();
      if (!backend) {
        state->dropped.fetch_add(spans_of(one), std::memory_order_relaxed);
        continue;
      }
      std::vector<ExportSpan> more = convert(one, *facts);
      std::move(more.begin(), more.end(), std::back_inserter(spans));
    }
    if (spans.empty()) continue;
    lock.unlock();
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
