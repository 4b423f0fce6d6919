// A model of an engine, for tests and load tests: deterministic, with the faults of real ones.
//
// The same seed and the same body give the same answer. Times are drawn: the first token after a
// log-normal time, then tokens at an even rate. A fixed number of answers run at once, others
// queue, and who finds the queue full is told 429.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/signal.h"
#include "base/uuid.h"
#include "engine/engine.h"
#include "settings/settings.h"

namespace penstock::engine {

struct SimulatedOptions {
  std::string name = "simulated";
  std::vector<std::string> models = {"simulated"};
  settings::EngineSettings::Simulated behaviour;
  std::size_t answer_bytes = 0;  // of every plain answer's text; 0: drawn around `tokens`
};

// The slots and the queue, which all workers share.
class SimulatedHall {
 public:
  SimulatedHall(std::size_t slots, std::size_t queue) : slots_(slots), queue_(queue) {}

  // A slot taken; given back when it is destroyed.
  class Seat {
   public:
    explicit Seat(SimulatedHall* hall) : hall_(hall) {}
    Seat(Seat&& other) noexcept : hall_(std::exchange(other.hall_, nullptr)) {}
    Seat& operator=(Seat&&) = delete;
    ~Seat() {
      if (hall_ != nullptr) hall_->leave();
    }

   private:
    SimulatedHall* hall_;
  };

  // First come, first served. Kind::exhausted: the queue is full.
  Task<Result<Seat>> enter(Deadline& deadline);

 private:
  void leave();

  struct Waiting {
    explicit Waiting(Loop& loop) : signal(loop) {}
    Signal signal;
    bool seated = false;
  };

  std::mutex mutex_;
  std::size_t slots_;
  const std::size_t queue_;
  std::size_t taken_ = 0;
  std::deque<Waiting*> line_;
};

class SimulatedEngine final : public Engine {
 public:
  SimulatedEngine(SimulatedOptions options, std::shared_ptr<SimulatedHall> hall);

  const std::string& name() const override { return options_.name; }
  Task<Result<Answer>> call(const Call& call, Deadline& deadline) override;
  Task<Result<std::vector<Model>>> models(Deadline& deadline) override;

 private:
  Task<Result<Answer>> answer(const Call& call, SimulatedHall::Seat seat, Deadline& deadline);

  const SimulatedOptions options_;
  std::shared_ptr<SimulatedHall> hall_;
};

}  // namespace penstock::engine
