#include "cache/flight.h"

#include <algorithm>
#include <cstring>

namespace penstock::cache {
namespace {

constexpr Duration kPatience = 1s;

}  // namespace

Flight::Flight(FlightTable& table, const Key& key, std::uint64_t window, std::uint64_t purge)
    : table_(table), key_(key), window_(window), purge_(purge) {}

void Flight::led_by(const trace::Context& context) {
  const std::lock_guard lock(mutex_);
  leader_ = context;
}

trace::Context Flight::leader() {
  const std::lock_guard lock(mutex_);
  return leader_;
}

void Flight::drive(Loop& loop, std::function<void()> abandoned) {
  const std::lock_guard lock(mutex_);
  driver_.emplace(loop);
  driver_loop_ = &loop;
  abandoned_ = std::move(abandoned);
}

void Flight::head(Head head) {
  const std::lock_guard lock(mutex_);
  head_ = std::move(head);
  wake_readers();
}

void Flight::append(std::string bytes) {
  if (bytes.empty()) return;
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    buffered_ += bytes.size();
    blocks_.push_back(std::make_shared<const std::string>(std::move(bytes)));
    full = buffered_ > window_ && joinable_;
    wake_readers();
  }
  // From here on its beginning may go: who comes now asks again.
  if (full) table_.remove(*this);
}

void Flight::wake_readers() {
  for (const Seat* seat : seats_) seat->signal->wake();
}

// Drops what every reader has. Only of a flight that takes no new ones.
void Flight::trim() {
  if (joinable_) return;
  std::uint64_t slowest = first_block_ + blocks_.size();
  for (const Seat* seat : seats_) slowest = std::min(slowest, seat->next_block);
  while (first_block_ < slowest) {
    buffered_ -= blocks_.front()->size();
    blocks_.pop_front();
    ++first_block_;
  }
}

Task<Result<void>> Flight::room(Deadline& deadline) {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      trim();
      if (buffered_ <= window_) co_return Result<void>();
    }
    Deadline patience(deadline, Clock::now() + kPatience);
    Result<void> woken = co_await driver_->wait(patience);
    if (woken) continue;
    if (deadline.over()) co_return woken;
    drop_slowest();
  }
}

void Flight::drop_slowest() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t begin = first_block_ + blocks_.size() / 2;
  const auto slow = [&](const Seat* seat) { return seat->next_block <= begin; };
  // Where all are slow, so is the answer.
  if (std::all_of(seats_.begin(), seats_.end(), slow)) return;
  for (Seat* const seat : seats_) {
    if (!slow(seat)) continue;
    seat->dropped = true;
    seat->signal->wake();
  }
  std::erase_if(seats_, slow);
}

void Flight::end(std::optional<Error> error) {
  table_.remove(*this);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  error_ = std::move(error);
  abandoned_ = nullptr;
  driver_.reset();
  wake_readers();
}

// ---- readers ---------------------------------------------------------------------------------

Reader::Reader(FlightPtr flight, Loop& loop)
    : flight_(std::move(flight)), signal_(loop), seat_{&signal_, 0} {}

Reader::~Reader() { flight_->table_.leave(*flight_, seat_); }

Task<Result<Flight::Head>> Reader::head(Deadline& deadline) {
  for (;;) {
    {
      const std::lock_guard lock(flight_->mutex_);
      if (flight_->head_) co_return *flight_->head_;
      if (flight_->error_) co_return *flight_->error_;
    }
    Result<void> woken = co_await signal_.wait(deadline);
    if (!woken) co_return deadline.error("wait for the answer", Source::engine);
  }
}

std::optional<Result<std::string_view>> Reader::poll() {
  const std::lock_guard lock(flight_->mutex_);
  Flight& flight = *flight_;
  if (seat_.dropped) {
    return Error{Kind::exhausted, Source::client, false,
                 "the client was too slow for an answer that others wait for"};
  }
  if (seat_.next_block < flight.first_block_ + flight.blocks_.size()) {
    held_ = flight.blocks_[static_cast<std::size_t>(seat_.next_block - flight.first_block_)];
    ++seat_.next_block;
    if (flight.buffered_ > flight.window_ && flight.driver_) flight.driver_->wake();
    return std::string_view(*held_);
  }
  if (flight.error_) return *flight.error_;
  if (flight.ended_) return std::string_view();
  return std::nullopt;
}

Task<Result<void>> Reader::wait(Deadline& deadline) {
  Result<void> woken = co_await signal_.wait(deadline);
  if (!woken) co_return deadline.error("wait for the answer", Source::engine);
  co_return woken;
}

// ---- the table -------------------------------------------------------------------------------

std::size_t FlightTable::KeyHash::operator()(const Key& key) const {
  std::size_t hash;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

FlightTable::Joined FlightTable::join(const Key& key, Loop& loop, const Flight* failed,
                                      std::uint64_t purge) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  FlightPtr& flight = shard.flights[key];
  if (failed != nullptr && flight.get() == failed) flight = nullptr;
  const bool leader = flight == nullptr;
  if (leader) flight = std::make_shared<Flight>(*this, key, window_, purge);
  auto reader = std::make_unique<Reader>(flight, loop);
  const std::lock_guard flight_lock(flight->mutex_);
  flight->seats_.push_back(&reader->seat_);
  return {flight, std::move(reader), leader};
}

FlightTable::Joined FlightTable::join(const Key& key, Loop& loop, std::uint64_t purge) {
  return join(key, loop, nullptr, purge);
}

std::unique_ptr<Reader> FlightTable::watch(const FlightPtr& flight, Loop& loop) {
  const std::lock_guard lock(flight->mutex_);
  // One that nobody reads may be about to end, and one beyond its window begins anywhere.
  if (!flight->joinable_ || flight->ended_) return nullptr;
  auto reader = std::make_unique<Reader>(flight, loop);
  flight->seats_.push_back(&reader->seat_);
  return reader;
}

FlightTable::Joined FlightTable::succeed(Flight& failed, Loop& loop, std::uint64_t purge) {
  const std::lock_guard lock(failed.succession_);
  if (const FlightPtr& flight = failed.successor_) {
    auto reader = std::make_unique<Reader>(flight, loop);
    const std::lock_guard flight_lock(flight->mutex_);
    if (flight->first_block_ == 0) {
      flight->seats_.push_back(&reader->seat_);
      return {flight, std::move(reader), false};
    }
  }
  Joined joined = join(failed.key_, loop, &failed, purge);
  failed.successor_ = joined.flight;
  return joined;
}

FlightPtr FlightTable::begin(const Key& key, std::uint64_t purge) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  FlightPtr& flight = shard.flights[key];
  if (flight != nullptr) return nullptr;
  flight = std::make_shared<Flight>(*this, key, window_, purge);
  flight->kept_going_ = true;
  return flight;
}

FlightTable::Joined FlightTable::alone(const Key& key, Loop& loop, std::uint64_t purge) {
  auto flight = std::make_shared<Flight>(*this, key, window_, purge);
  flight->joinable_ = false;
  auto reader = std::make_unique<Reader>(flight, loop);
  flight->seats_.push_back(&reader->seat_);
  return {std::move(flight), std::move(reader), true};
}

void FlightTable::remove(Flight& flight) {
  Shard& shard = shard_of(flight.key_);
  FlightPtr kept;  // the last reference must not go while its mutex is held
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.flights.find(flight.key_);
  if (at != shard.flights.end() && at->second.get() == &flight) {
    kept = std::move(at->second);
    shard.flights.erase(at);
  }
  const std::lock_guard flight_lock(flight.mutex_);
  flight.joinable_ = false;
}

void FlightTable::leave(Flight& flight, Flight::Seat& seat) {
  Shard& shard = shard_of(flight.key_);
  FlightPtr kept;
  // Both locks: between the last leaving and the flight's end nobody may join it.
  const std::lock_guard lock(shard.mutex);
  const std::lock_guard flight_lock(flight.mutex_);
  std::erase(flight.seats_, &seat);
  if (flight.driver_) flight.driver_->wake();
  if (!flight.seats_.empty() || flight.ended_ || flight.kept_going_) return;
  const auto at = shard.flights.find(flight.key_);
  if (at != shard.flights.end() && at->second.get() == &flight) {
    kept = std::move(at->second);
    shard.flights.erase(at);
  }
  flight.joinable_ = false;
  if (flight.driver_loop_ == nullptr || !flight.abandoned_) return;
  // On the driver's loop, where it may have ended meanwhile.
  asio::post(flight.driver_loop_->executor(), [alive = flight.shared_from_this()] {
    std::function<void()> abandoned;
    {
      const std::lock_guard again(alive->mutex_);
      abandoned = alive->abandoned_;
    }
    if (abandoned) abandoned();
  });
}

std::size_t FlightTable::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    size += shard.flights.size();
  }
  return size;
}

}  // namespace penstock::cache
