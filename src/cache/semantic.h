// Which kept answer belongs to a question that means nearly the same: unit vectors of questions,
// and the keys of their answers.
//
//   (scope, place) ──> Place ── tail:  newest vectors, looked at one by one
//                        │     graph: the others, by HNSW (inner product)
//                        └──> Key of the answer, similarity
//   Key ──> its Place, in the order of use: what was not hit for longest leaves first
//
// A place is what must be equal for an answer to be the same but for the question's last words: the
// model, its engine, the parameters, the messages before. Places of one scope never see another's.
//
// HNSW: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
// hierarchical navigable small world graphs", 2018 (arXiv 1603.09320), by hnswlib. A small place
// has no graph: it is searched exactly. Graphs are made, filled and made anew by a thread of their
// own: whoever searches waits for one vector that is put in, and 5 ms at most.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cache/key.h"

namespace penstock::cache {

// Makes it a unit vector. False: it has no direction (empty, all zero, or not finite).
bool normalise(std::vector<float>& vector);

struct SemanticOptions {
  std::size_t size = 100'000;  // vectors, of all scopes together
  std::size_t exact = 1000;    // vectors of a place that are looked at one by one
};

struct SemanticStats {
  std::uint64_t entries = 0;
  std::uint64_t places = 0;
  std::uint64_t evictions = 0;
  std::uint64_t changes = 0;   // vectors that came, or that were erased
  std::uint64_t rebuilds = 0;  // of graphs, the first making included
};

struct SemanticFound {
  Key key{};
  float similarity = 0;  // the cosine: at most 1
};

// Any thread.
class SemanticIndex {
 public:
  static constexpr std::size_t kMostDimensions = 8192;

  explicit SemanticIndex(const SemanticOptions& options);
  SemanticIndex(const SemanticIndex&) = delete;
  SemanticIndex& operator=(const SemanticIndex&) = delete;
  ~SemanticIndex();

  // The nearest of the place, if its similarity is at least `threshold`; it counts as a use of it.
  // Nothing where the place's vectors have another length.
  // REQUIRES: a unit vector.
  std::optional<SemanticFound> find(std::string_view scope, std::string_view place,
                                    std::span<const float> vector, float threshold);
  // A key that the place has already is only used. A vector of another length than the place's
  // (another embedding model) begins the place anew. What is too much in all leaves: what was not
  // used for longest, whosever it is.
  // REQUIRES: a unit vector of at most kMostDimensions.
  void add(std::string_view scope, std::string_view place, const Key& key,
           std::span<const float> vector);
  void erase(const Key& key);
  // All of the scopes that `unwanted` says; how many there were.
  std::uint64_t erase_scopes(const std::function<bool(std::string_view scope)>& unwanted);
  void clear();
  // How many it may have from now on.
  void set_size(std::size_t size);

  SemanticStats stats() const;
  // Returns when the graphs have all that was added and erased before: for tests.
  void settle();

  // One that was added, as it lies in a file (semantic_file.h).
  struct Item {
    std::string_view scope;
    std::string_view place;
    Key key{};
    std::uint64_t used = 0;  // larger: later
    std::span<const float> vector;
  };
  // All of them, some at a time; no lock is held while `use` runs.
  void each(const std::function<void(const Item&)>& use) const;

 private:
  class Place;
  class Builder;
  using PlacePtr = std::shared_ptr<Place>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Record {
    PlacePtr place;
    std::list<Key>::iterator order;
  };

  PlacePtr place_of(std::string_view scope, std::string_view place) const;
  PlacePtr place_for(std::string_view scope, std::string_view place, std::size_t dimensions);
  void record(const PlacePtr& place, const Key& key);
  void evict();
  void erase_from(const PlacePtr& place, const Key& key);
  void drop(const PlacePtr& place);
  std::uint64_t forget(const PlacePtr& place);

  std::atomic<std::uint64_t> uses_{1};  // counts them: a clock
  std::atomic<std::uint64_t> changes_{0};

  mutable std::mutex mutex_;  // of what follows; never taken by who holds a place's
  std::size_t size_;
  const std::size_t exact_;
  std::unordered_map<std::string, PlacePtr> places_;
  std::unordered_map<Key, Record, KeyHash> records_;
  std::list<Key> order_;  // the one used last first
  std::uint64_t evictions_ = 0;
  std::unique_ptr<Builder> builder_;  // last: it ends before the rest does
};

}  // namespace penstock::cache
