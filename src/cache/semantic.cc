#include "cache/semantic.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "cache/semantic_place.h"

namespace penstock::cache {
namespace {

constexpr int kNice = 10;            // of the builder: answers come first
constexpr std::size_t kBatch = 256;  // records that go under one lock
constexpr std::size_t kCopied = 64;  // vectors that are copied under one lock

std::string name_of_place(std::string_view scope, std::string_view place) {
  std::string name = std::to_string(scope.size());
  name += ':';
  name += scope;
  name += place;
  return name;
}

}  // namespace

bool normalise(std::vector<float>& vector) {
  double square = 0;
  for (const float value : vector) square += static_cast<double>(value) * value;
  if (!(square > 0) || !std::isfinite(square)) return false;
  const double length = std::sqrt(square);
  for (float& value : vector) value = static_cast<float>(value / length);
  return true;
}

std::size_t SemanticIndex::KeyHash::operator()(const Key& key) const {
  std::size_t hash;  // a digest is as good as random already
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

SemanticIndex::SemanticIndex(const SemanticOptions& options)
    : size_(options.size), exact_(options.exact), builder_(std::make_unique<Builder>()) {}

SemanticIndex::~SemanticIndex() = default;

SemanticIndex::PlacePtr SemanticIndex::place_of(std::string_view scope,
                                                std::string_view place) const {
  const std::string name = name_of_place(scope, place);
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : found->second;
}

std::optional<SemanticFound> SemanticIndex::find(std::string_view scope, std::string_view place,
                                                 std::span<const float> vector, float threshold) {
  const PlacePtr in = place_of(scope, place);
  if (!in) return std::nullopt;
  std::optional<SemanticFound> found =
      in->find(vector, threshold, uses_.fetch_add(1, std::memory_order_relaxed));
  if (!found) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto record = records_.find(found->key);
  if (record != records_.end()) order_.splice(order_.begin(), order_, record->second.order);
  return found;
}

// The place, made where it is not there. One of other dimensions is forgotten.
SemanticIndex::PlacePtr SemanticIndex::place_for(std::string_view scope, std::string_view place,
                                                 std::size_t dimensions) {
  const std::string name = name_of_place(scope, place);
  PlacePtr old;
  PlacePtr now;
  {
    const std::lock_guard lock(mutex_);
    PlacePtr& at = places_[name];
    if (!at || at->dimensions() != dimensions) {
      old = std::exchange(at, std::make_shared<Place>(scope, place, dimensions, exact_));
    }
    now = at;
  }
  if (old) forget(old);
  return now;
}

void SemanticIndex::add(std::string_view scope, std::string_view place, const Key& key,
                        std::span<const float> vector) {
  if (vector.empty() || vector.size() > kMostDimensions) return;
  for (;;) {
    const PlacePtr in = place_for(scope, place, vector.size());
    const Place::Added added = in->add(key, vector, uses_.fetch_add(1, std::memory_order_relaxed));
    if (added == Place::Added::closed) {  // it was emptied a moment ago
      drop(in);
      continue;
    }
    record(in, key);
    if (in->closed()) {  // meanwhile: who closed it has not seen the record
      erase(key);
      return;
    }
    evict();
    if (added == Place::Added::known) return;
    changes_.fetch_add(1, std::memory_order_relaxed);
    if (in->wants_work()) builder_->poke(in);
    return;
  }
}

void SemanticIndex::record(const PlacePtr& place, const Key& key) {
  PlacePtr old;
  {
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = records_.try_emplace(key);
    if (fresh) {
      order_.push_front(key);
      at->second.order = order_.begin();
    } else {
      order_.splice(order_.begin(), order_, at->second.order);
    }
    old = std::exchange(at->second.place, place);
  }
  if (old && old != place) erase_from(old, key);
}

void SemanticIndex::evict() {
  for (;;) {
    PlacePtr place;
    Key key;
    {
      const std::lock_guard lock(mutex_);
      if (records_.size() <= size_) return;
      key = order_.back();
      place = records_.at(key).place;
      records_.erase(key);
      order_.pop_back();
      ++evictions_;
    }
    erase_from(place, key);
  }
}

void SemanticIndex::erase(const Key& key) {
  PlacePtr place;
  {
    const std::lock_guard lock(mutex_);
    const auto record = records_.find(key);
    if (record == records_.end()) return;
    place = record->second.place;
    order_.erase(record->second.order);
    records_.erase(record);
  }
  erase_from(place, key);
}

void SemanticIndex::erase_from(const PlacePtr& place, const Key& key) {
  if (!place->erase(key)) return;
  changes_.fetch_add(1, std::memory_order_relaxed);
  if (place->empty()) {
    if (place->close_if_empty()) drop(place);
  } else if (place->wants_work()) {
    builder_->poke(place);
  }
}

// REQUIRES: it is closed.
void SemanticIndex::drop(const PlacePtr& place) {
  const std::string name = name_of_place(place->scope(), place->name());
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(name);
  if (found != places_.end() && found->second == place) places_.erase(found);
}

// All records of a place that nobody finds any more; how many there were.
std::uint64_t SemanticIndex::forget(const PlacePtr& place) {
  const std::vector<Key> keys = place->close();
  changes_.fetch_add(keys.size(), std::memory_order_relaxed);
  std::uint64_t forgotten = 0;
  for (std::size_t i = 0; i < keys.size(); i += kBatch) {
    const std::lock_guard lock(mutex_);
    for (std::size_t j = i; j < std::min(keys.size(), i + kBatch); ++j) {
      const auto record = records_.find(keys[j]);
      if (record == records_.end() || record->second.place != place) continue;
      order_.erase(record->second.order);
      records_.erase(record);
      ++forgotten;
    }
  }
  return forgotten;
}

std::uint64_t SemanticIndex::erase_scopes(
    const std::function<bool(std::string_view scope)>& unwanted) {
  std::vector<PlacePtr> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = places_.begin(); at != places_.end();) {
      if (unwanted(at->second->scope())) {
        gone.push_back(std::move(at->second));
        at = places_.erase(at);
      } else {
        ++at;
      }
    }
  }
  std::uint64_t forgotten = 0;
  for (const PlacePtr& place : gone) forgotten += forget(place);
  return forgotten;
}

void SemanticIndex::clear() {
  erase_scopes([](std::string_view) { return true; });
}

void SemanticIndex::set_size(std::size_t size) {
  {
    const std::lock_guard lock(mutex_);
    size_ = size;
  }
  evict();
}

SemanticStats SemanticIndex::stats() const {
  SemanticStats stats;
  stats.rebuilds = builder_->rebuilds();
  stats.changes = changes_.load(std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  stats.entries = records_.size();
  stats.places = places_.size();
  stats.evictions = evictions_;
  return stats;
}

void SemanticIndex::settle() { builder_->settle(); }

void SemanticIndex::each(const std::function<void(const Item&)>& use) const {
  std::vector<PlacePtr> places;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, place] : places_) places.push_back(place);
  }
  for (const PlacePtr& place : places) {
    const std::vector<Place::Label> labels = place->labels();
    for (std::size_t i = 0; i < labels.size(); i += kCopied) {
      const std::size_t count = std::min(kCopied, labels.size() - i);
      for (const Place::Copy& copy : place->copies(std::span(labels).subspan(i, count))) {
        use({place->scope(), place->name(), copy.key, copy.used, copy.vector});
      }
    }
  }
}

// ---- the builder -----------------------------------------------------------------------------

SemanticIndex::Builder::Builder() = default;

SemanticIndex::Builder::~Builder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SemanticIndex::Builder::poke(const PlacePtr& place) {
  const std::lock_guard lock(mutex_);
  if (place->queued || stopping_.load()) return;
  place->queued = true;
  queue_.push_back(place);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

void SemanticIndex::Builder::settle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void SemanticIndex::Builder::run() {
  // Of this thread alone, as Linux has it; where it may not be, it is as eager as the others.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  const auto stopping = [this] { return stopping_.load(std::memory_order_relaxed); };
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping() || !queue_.empty(); });
    if (stopping()) return;
    const PlacePtr place = std::move(queue_.front());
    queue_.pop_front();
    place->queued = false;  // what comes from now on may not be seen by this round
    busy_ = true;
    lock.unlock();
    try {
      rebuilds_.fetch_add(place->work(stopping), std::memory_order_relaxed);
    } catch (const std::exception&) {  // hnswlib's, where memory is short
      place->give_up();
    }
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace penstock::cache
