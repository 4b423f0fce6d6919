// The vectors of one place of the semantic index, and the thread that makes graphs of them.
//
//   labels:  0 ............ moved_ ............ next_        given out in order, never twice
//            └─ in the graph ─┘└── in the tail ──┘
//
// A vector begins in the tail. The builder puts it into the graph and takes it out of the tail
// then, in this order: who looks through the tail first and the graph after misses nothing. A label
// that `slots_` does not have is dead, wherever its vector still lies.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/semantic.h"

namespace penstock::cache {

struct SemanticSpace;  // hnswlib's, which knows how to multiply
struct SemanticGraph;

class SemanticIndex::Place {
 public:
  using Label = std::uint64_t;

  Place(std::string_view scope, std::string_view name, std::size_t dimensions, std::size_t exact);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place();

  const std::string& scope() const { return scope_; }
  const std::string& name() const { return name_; }
  std::size_t dimensions() const { return dimensions_; }

  // `now`: the number of this use.
  std::optional<SemanticFound> find(std::span<const float> vector, float threshold,
                                    std::uint64_t now) const;
  enum class Added : std::uint8_t { added, known, closed };
  Added add(const Key& key, std::span<const float> vector, std::uint64_t now);
  bool erase(const Key& key);
  bool empty() const;
  bool closed() const;
  // Nothing is added from then on. The keys that it had.
  std::vector<Key> close();
  // Likewise, unless there is something in it.
  bool close_if_empty();

  struct Copy {
    Key key{};
    std::uint64_t used = 0;
    std::vector<float> vector;
  };
  std::vector<Label> labels() const;
  // Those of these labels that are still there.
  std::vector<Copy> copies(std::span<const Label> labels) const;

  // ---- the builder ----
  bool wants_work() const;
  // Does all that there is to do, unless `stopping`. How many graphs were made.
  std::uint64_t work(const std::function<bool()>& stopping);
  // No graph can be had: only the newest are found from then on.
  void give_up() { given_up_.store(true); }
  bool queued = false;

 private:
  static constexpr std::size_t kChunk = 64;
  // Of the tail, the newest: a place whose graph is being made must not cost more.
  static constexpr std::size_t kScanned = 4096;
  static constexpr std::size_t kCandidates = 8;  // of the graph: some may be dead
  enum class Task : std::uint8_t { none, mark, rebuild, move, compact };
  struct Chunk {
    std::vector<Label> labels;
    std::vector<float> vectors;
  };
  struct Slot {
    Key key{};
    mutable std::atomic<std::uint64_t> used{0};
  };
  struct Candidate {
    float similarity;
    Label label;
  };

  float similarity(const float* a, const float* b) const;
  std::optional<Candidate> scan(std::span<const float> vector) const;
  std::vector<Candidate> search(std::span<const float> vector) const;
  Task task() const;
  bool rebuild(const std::function<bool()>& stopping);
  void compact();
  void move_chunk();
  void mark();
  void append(Label label, const float* vector);
  const float* in_tail(Label label) const;
  Chunk live_tail(Label from) const;
  void cut_tail(Label until);

  const std::string scope_;
  const std::string name_;
  const std::size_t dimensions_;
  const std::size_t exact_;
  const std::unique_ptr<SemanticSpace> space_;
  std::atomic<bool> given_up_{false};

  mutable std::shared_mutex mutex_;  // of what follows, up to the graph
  bool closed_ = false;
  std::unordered_map<Label, Slot> slots_;
  std::unordered_map<Key, Label, KeyHash> labels_;
  std::deque<Chunk> tail_;
  std::size_t tail_count_ = 0;  // the dead included
  std::size_t tail_dead_ = 0;
  std::size_t graph_dead_ = 0;
  std::vector<Label> to_mark_;  // dead, and the graph does not know
  Label next_ = 0;
  Label moved_ = 0;

  // Changed by the builder alone, which reads it without a lock. Taken before `mutex_`.
  mutable std::shared_mutex graph_mutex_;
  std::unique_ptr<SemanticGraph> graph_;
  // Of the graph, for who has mutex_ only.
  std::size_t graph_count_ = 0;
  std::size_t graph_room_ = 0;
};

// Works on places one after the other, at a low priority.
class SemanticIndex::Builder {
 public:
  Builder();
  ~Builder();
  void poke(const PlacePtr& place);
  void settle();
  std::uint64_t rebuilds() const { return rebuilds_.load(std::memory_order_relaxed); }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PlacePtr> queue_;
  bool busy_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> rebuilds_{0};
  std::thread thread_;
};

}  // namespace penstock::cache
