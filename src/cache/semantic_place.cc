#include "cache/semantic_place.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>

#include "base/clock.h"

namespace penstock::cache {
namespace {

// Of the graph: links of a node, and how far is looked when one is put in, or searched. For recall
// at the threshold; src/cache/semantic_test.cc measures it.
constexpr std::size_t kLinks = 16;
constexpr std::size_t kLookedAtBuilding = 200;
constexpr std::size_t kLookedAtSearching = 64;
constexpr Duration kWait = 5ms;  // for a vector that is put in
// Of the first node, the highest there will be: more of them would take 16^10 nodes.
constexpr int kTopLevel = 10;
constexpr std::size_t kBatch = 256;       // labels judged under one lock
constexpr std::size_t kDeadPart = 4;      // a quarter of dead ones: made anew
constexpr std::size_t kLeastToDrop = 16;  // fewer dead ones of a tail are borne

}  // namespace

struct SemanticSpace {
  explicit SemanticSpace(std::size_t dimensions) : space(dimensions) {
    distance = space.get_dist_func();
    parameter = space.get_dist_func_param();
  }
  hnswlib::InnerProductSpace space;
  hnswlib::DISTFUNC<float> distance;
  void* parameter;
};

struct SemanticGraph {
  SemanticGraph(SemanticSpace& space, std::size_t room)
      : nodes(&space.space, room, kLinks, kLookedAtBuilding) {
    nodes.setEf(kLookedAtSearching);
  }
  const float* vector(hnswlib::tableint at) const {
    return reinterpret_cast<const float*>(nodes.getDataByInternalId(at));
  }
  // Null: it is not there.
  const float* vector_of(std::uint64_t label) const {
    const auto found = nodes.label_lookup_.find(label);
    return found == nodes.label_lookup_.end() ? nullptr : vector(found->second);
  }
  void add(const float* vector, std::uint64_t label) {
    // Where a later node is the highest, hnswlib locks everything and then nodes, else a node and
    // then everything: right with one thread that adds, and no sanitizer can know.
    nodes.addPoint(vector, label, count() == 0 ? kTopLevel : -1);
  }
  std::size_t count() const { return nodes.cur_element_count; }
  std::size_t room() const { return nodes.max_elements_; }

  hnswlib::HierarchicalNSW<float> nodes;
};

SemanticIndex::Place::Place(std::string_view scope, std::string_view name, std::size_t dimensions,
                            std::size_t exact)
    : scope_(scope),
      name_(name),
      dimensions_(dimensions),
      exact_(exact),
      space_(std::make_unique<SemanticSpace>(dimensions)) {}

SemanticIndex::Place::~Place() = default;

float SemanticIndex::Place::similarity(const float* a, const float* b) const {
  return 1.0F - space_->distance(a, b, space_->parameter);
}

// ---- searching -------------------------------------------------------------------------------

std::optional<SemanticFound> SemanticIndex::Place::find(std::span<const float> vector,
                                                        float threshold, std::uint64_t now) const {
  if (vector.size() != dimensions_) return std::nullopt;
  std::vector<Candidate> candidates = search(vector);
  // Equal vectors need not come to exactly 1.
  constexpr float kRounding = 1e-6F;
  const std::shared_lock lock(mutex_);
  for (const Candidate& candidate : candidates) {
    if (candidate.similarity + kRounding < threshold) break;
    const auto slot = slots_.find(candidate.label);
    if (slot == slots_.end()) continue;
    slot->second.used.store(now, std::memory_order_relaxed);
    return SemanticFound{slot->second.key, std::min(candidate.similarity, 1.0F)};
  }
  return std::nullopt;
}

// The nearest first. The tail before the graph: what moves meanwhile is in one of them.
std::vector<SemanticIndex::Place::Candidate> SemanticIndex::Place::search(
    std::span<const float> vector) const {
  std::vector<Candidate> found;
  if (const std::optional<Candidate> newest = scan(vector)) found.push_back(*newest);
  // The builder may have lost its core with the lock in its hands, and a loop must not wait for it:
  // what is in the tail will do then.
  std::shared_lock lock(graph_mutex_, std::try_to_lock);
  for (const Time end = Clock::now() + kWait; !lock && Clock::now() < end;) {
    std::this_thread::yield();
    (void)lock.try_lock();
  }
  if (!lock || !graph_) return found;
  auto near = graph_->nodes.searchKnn(vector.data(), kCandidates);
  for (; !near.empty(); near.pop()) {
    found.push_back({1.0F - near.top().first, near.top().second});
  }
  std::sort(found.begin(), found.end(),
            [](const Candidate& a, const Candidate& b) { return a.similarity > b.similarity; });
  return found;
}

// The best of the tail's newest that live.
std::optional<SemanticIndex::Place::Candidate> SemanticIndex::Place::scan(
    std::span<const float> vector) const {
  std::optional<Candidate> best;
  std::size_t seen = 0;
  const std::shared_lock lock(mutex_);
  for (auto chunk = tail_.rbegin(); chunk != tail_.rend() && seen < kScanned; ++chunk) {
    seen += chunk->labels.size();
    for (std::size_t i = 0; i < chunk->labels.size(); ++i) {
      const float like = similarity(vector.data(), chunk->vectors.data() + i * dimensions_);
      if (best && like <= best->similarity) continue;
      if (!slots_.contains(chunk->labels[i])) continue;
      best = {like, chunk->labels[i]};
    }
  }
  return best;
}

// ---- changing --------------------------------------------------------------------------------

SemanticIndex::Place::Added SemanticIndex::Place::add(const Key& key, std::span<const float> vector,
                                                      std::uint64_t now) {
  const std::lock_guard lock(mutex_);
  if (closed_) return Added::closed;
  const auto [known, fresh] = labels_.try_emplace(key, next_);
  if (!fresh) {
    slots_[known->second].used.store(now, std::memory_order_relaxed);
    return Added::known;
  }
  const Label label = next_++;
  Slot& slot = slots_[label];
  slot.key = key;
  slot.used.store(now, std::memory_order_relaxed);
  append(label, vector.data());
  return Added::added;
}

// REQUIRES: mutex_ is held.
void SemanticIndex::Place::append(Label label, const float* vector) {
  if (tail_.empty() || tail_.back().labels.size() >= kChunk) tail_.emplace_back();
  tail_.back().labels.push_back(label);
  tail_.back().vectors.insert(tail_.back().vectors.end(), vector, vector + dimensions_);
  ++tail_count_;
}

bool SemanticIndex::Place::erase(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = labels_.find(key);
  if (found == labels_.end()) return false;
  const Label label = found->second;
  labels_.erase(found);
  slots_.erase(label);
  if (label < moved_) {
    ++graph_dead_;
    to_mark_.push_back(label);
  } else {
    ++tail_dead_;
  }
  return true;
}

bool SemanticIndex::Place::empty() const {
  const std::shared_lock lock(mutex_);
  return slots_.empty();
}

bool SemanticIndex::Place::closed() const {
  const std::shared_lock lock(mutex_);
  return closed_;
}

std::vector<Key> SemanticIndex::Place::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  std::vector<Key> keys;
  keys.reserve(labels_.size());
  for (const auto& [key, label] : labels_) keys.push_back(key);
  return keys;
}

bool SemanticIndex::Place::close_if_empty() {
  const std::lock_guard lock(mutex_);
  closed_ = closed_ || slots_.empty();
  return closed_;
}

std::vector<SemanticIndex::Place::Label> SemanticIndex::Place::labels() const {
  const std::shared_lock lock(mutex_);
  std::vector<Label> labels;
  labels.reserve(slots_.size());
  for (const auto& [label, slot] : slots_) labels.push_back(label);
  return labels;
}

std::vector<SemanticIndex::Place::Copy> SemanticIndex::Place::copies(
    std::span<const Label> labels) const {
  std::vector<Copy> copies;
  const std::shared_lock graph_lock(graph_mutex_);
  const std::shared_lock lock(mutex_);
  for (const Label label : labels) {
    const auto slot = slots_.find(label);
    if (slot == slots_.end()) continue;
    const float* const vector =
        label < moved_ && graph_ ? graph_->vector_of(label) : in_tail(label);
    if (vector == nullptr) continue;
    copies.push_back({slot->second.key, slot->second.used.load(std::memory_order_relaxed),
                      std::vector<float>(vector, vector + dimensions_)});
  }
  return copies;
}

// REQUIRES: mutex_ is held, shared at least.
const float* SemanticIndex::Place::in_tail(Label label) const {
  const auto chunk =
      std::lower_bound(tail_.begin(), tail_.end(), label,
                       [](const Chunk& one, Label wanted) { return one.labels.back() < wanted; });
  if (chunk == tail_.end()) return nullptr;
  const auto at = std::lower_bound(chunk->labels.begin(), chunk->labels.end(), label);
  if (at == chunk->labels.end() || *at != label) return nullptr;
  return chunk->vectors.data() + static_cast<std::size_t>(at - chunk->labels.begin()) * dimensions_;
}

// ---- the builder -----------------------------------------------------------------------------

SemanticIndex::Place::Task SemanticIndex::Place::task() const {
  const std::shared_lock lock(mutex_);
  if (closed_ || given_up_.load()) return Task::none;
  if (graph_room_ == 0) {
    if (slots_.size() > exact_) return Task::rebuild;
    return tail_dead_ >= kLeastToDrop && tail_dead_ * kDeadPart >= tail_count_ ? Task::compact
                                                                               : Task::none;
  }
  if (!to_mark_.empty()) return Task::mark;
  if (graph_dead_ * kDeadPart >= graph_count_) return Task::rebuild;
  if (tail_count_ == 0) return Task::none;
  return graph_count_ + kChunk > graph_room_ ? Task::rebuild : Task::move;
}

bool SemanticIndex::Place::wants_work() const { return task() != Task::none; }

std::uint64_t SemanticIndex::Place::work(const std::function<bool()>& stopping) {
  std::uint64_t rebuilds = 0;
  while (!stopping()) {
    switch (task()) {
      case Task::none: return rebuilds;
      case Task::mark: mark(); break;
      case Task::move: move_chunk(); break;
      case Task::compact: compact(); break;
      case Task::rebuild: rebuilds += static_cast<std::uint64_t>(rebuild(stopping)); break;
    }
  }
  return rebuilds;
}

// hnswlib 0.6 only marks what is deleted: it is still walked over, and no longer found.
void SemanticIndex::Place::mark() {
  std::vector<Label> dead;
  {
    const std::lock_guard lock(mutex_);
    dead.swap(to_mark_);
  }
  std::size_t never_there = 0;  // dead before it came to them
  for (std::size_t i = 0; i < dead.size(); i += kBatch) {
    const std::lock_guard lock(graph_mutex_);
    for (std::size_t j = i; j < std::min(dead.size(), i + kBatch); ++j) {
      if (graph_->vector_of(dead[j]) != nullptr) {
        graph_->nodes.markDelete(dead[j]);
      } else {
        ++never_there;
      }
    }
  }
  const std::lock_guard lock(mutex_);
  graph_dead_ -= never_there;
}

// Up to a chunk's worth of the tail from this label on, the living ones; in `labels` the last one
// that was looked at stands too, for where to go on.
SemanticIndex::Place::Chunk SemanticIndex::Place::live_tail(Label from) const {
  Chunk live;
  const std::shared_lock lock(mutex_);
  for (const Chunk& chunk : tail_) {
    if (chunk.labels.back() < from) continue;
    for (std::size_t i = 0; i < chunk.labels.size() && live.labels.size() < kChunk; ++i) {
      if (chunk.labels[i] < from || !slots_.contains(chunk.labels[i])) continue;
      live.labels.push_back(chunk.labels[i]);
      const float* const vector = chunk.vectors.data() + i * dimensions_;
      live.vectors.insert(live.vectors.end(), vector, vector + dimensions_);
    }
    if (live.labels.size() >= kChunk) break;
  }
  return live;
}

// What lies before this label is in the graph. Who died since it was put there is marked later.
// REQUIRES: mutex_ is held.
void SemanticIndex::Place::cut_tail(Label until) {
  while (!tail_.empty() && tail_.front().labels.front() < until) {
    Chunk& chunk = tail_.front();
    const auto end = std::lower_bound(chunk.labels.begin(), chunk.labels.end(), until);
    for (auto label = chunk.labels.begin(); label != end; ++label) {
      if (slots_.contains(*label)) continue;
      --tail_dead_;
      ++graph_dead_;
      to_mark_.push_back(*label);
    }
    const auto cut = end - chunk.labels.begin();
    tail_count_ -= static_cast<std::size_t>(cut);
    if (end == chunk.labels.end()) {
      tail_.pop_front();
      continue;
    }
    chunk.labels.erase(chunk.labels.begin(), end);
    chunk.vectors.erase(chunk.vectors.begin(),
                        chunk.vectors.begin() + cut * static_cast<std::ptrdiff_t>(dimensions_));
  }
  moved_ = until;
}

void SemanticIndex::Place::move_chunk() {
  const Chunk live = live_tail(0);
  for (std::size_t i = 0; i < live.labels.size(); ++i) {
    const std::lock_guard lock(graph_mutex_);  // for one at a time: somebody may want to search
    graph_->add(live.vectors.data() + i * dimensions_, live.labels[i]);
  }
  const std::lock_guard lock(mutex_);
  // Without a living one there are only dead ones in the tail, up to what came meanwhile.
  const Label until = live.labels.empty() ? moved_ : live.labels.back() + 1;
  cut_tail(until);
  graph_count_ = graph_->count();
  if (live.labels.empty()) {
    while (!tail_.empty() && !slots_.contains(tail_.front().labels.front())) {
      cut_tail(tail_.front().labels.front() + 1);
    }
  }
}

void SemanticIndex::Place::compact() {
  const std::lock_guard lock(mutex_);
  std::deque<Chunk> old;
  old.swap(tail_);
  tail_count_ = tail_dead_ = 0;
  for (const Chunk& chunk : old) {
    for (std::size_t i = 0; i < chunk.labels.size(); ++i) {
      if (slots_.contains(chunk.labels[i])) {
        append(chunk.labels[i], chunk.vectors.data() + i * dimensions_);
      }
    }
  }
}

// A new graph of what lives, beside the one that is searched meanwhile. False: it was stopped.
bool SemanticIndex::Place::rebuild(const std::function<bool()>& stopping) {
  std::size_t room = 0;
  {
    const std::lock_guard lock(mutex_);
    to_mark_.clear();  // the new one never hears of them
    room = 2 * std::max(slots_.size(), exact_) + 2 * kChunk;
  }
  auto made = std::make_unique<SemanticGraph>(*space_, room);
  for (std::size_t i = 0; graph_ && i < graph_->count(); i += kBatch) {
    const std::size_t end = std::min(graph_->count(), i + kBatch);
    std::vector<bool> lives;
    {
      const std::shared_lock lock(mutex_);
      for (std::size_t j = i; j < end; ++j) {
        lives.push_back(
            slots_.contains(graph_->nodes.getExternalLabel(static_cast<hnswlib::tableint>(j))));
      }
    }
    for (std::size_t j = i; j < end; ++j) {
      if (stopping()) return false;
      if (!lives[j - i]) continue;
      const auto at = static_cast<hnswlib::tableint>(j);
      made->add(graph_->vector(at), graph_->nodes.getExternalLabel(at));
    }
  }
  Label until = moved_;
  while (made->count() + kChunk <= room) {
    const Chunk live = live_tail(until);
    for (std::size_t i = 0; i < live.labels.size(); ++i) {
      if (stopping()) return false;
      made->add(live.vectors.data() + i * dimensions_, live.labels[i]);
    }
    if (live.labels.empty()) break;
    until = live.labels.back() + 1;
  }
  const std::scoped_lock lock(graph_mutex_, mutex_);
  graph_dead_ = to_mark_.size();
  cut_tail(until);
  graph_.swap(made);  // the old one goes when the locks have
  graph_count_ = graph_->count();
  graph_room_ = room;
  return true;
}

}  // namespace penstock::cache
