#include "store/ledger.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/give_way.h"
#include "base/sleep.h"

namespace penstock::store {
namespace {

constexpr std::size_t kBatch = 5000;                  // rows, of one call of the database
constexpr std::size_t kBatchBytes = 8 * 1024 * 1024;  // or so many bytes
constexpr std::uint64_t kRowBytes = 512;              // of a row without texts, and some to spare
constexpr Duration kAnswer = 30s;                     // that it may take
constexpr Duration kPauseMost = 5s;                   // between two attempts
constexpr Duration kSayAgain = 10s;                   // that rows are dropped
constexpr std::size_t kMostServed = 10'000;
constexpr std::uint16_t kNone = 0;  // in the place of a record's kind: not for the database

}  // namespace

// What the metrics show; they may be read when the ledger is gone.
struct Ledger::Counts {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> replayed{0};
  std::atomic<std::uint64_t> refused{0};  // that the database will never take
  std::shared_ptr<const SpoolCounts> spool;
};

// A file of an earlier run. It is read, and not mapped: a file that is cut off is then no SIGBUS.
class Ledger::Left {
 public:
  Left(std::string from, std::string text, const SegmentHead& head)
      : path(std::move(from)), bytes(std::move(text)), at(head.done), tail(head.tail) {}

  static Result<std::string> read(const std::string& file_path) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file_path, error);
    if (!error && size > kMostSegment) {
      return Error{Kind::too_large, Source::store, false, "it is larger than any of ours"};
    }
    std::ifstream file(file_path, std::ios::binary);
    if (!error && file) {
      std::string text(size, '\0');
      file.read(text.data(), static_cast<std::streamsize>(size));
      if (file.gcount() == static_cast<std::streamsize>(size)) return text;
    }
    return Error{Kind::internal, Source::store, false, "it cannot be read"};
  }

  std::string path;
  std::string bytes;
  std::size_t at;
  std::size_t tail;
  bool damaged = false;
};

// Records on their way into the database. Their bytes stay where they are until it has them.
struct Ledger::Batch {
  std::vector<Record> records;
  std::size_t bytes = 0;
  std::size_t from_left = 0;     // the first so many are of an earlier run
  std::size_t none_of_left = 0;  // and so many of those are not for the database
  std::size_t none = 0;          // and of the others
  std::size_t unread = 0;        // damaged, of this run

  struct Claim {
    Spool* spool;
    std::size_t to;
  };
  std::vector<Claim> claims;
  std::size_t left_to = 0;

  bool full() const { return records.size() >= kBatch || bytes >= kBatchBytes; }
  bool nothing() const { return records.empty() && claims.empty() && left_to == 0; }
};

std::string spool_folder(std::string_view store_url) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (!store_url.starts_with(kSqlite)) return "./penstock-spool";
  return std::string(store_url.substr(kSqlite.size())) + "-spool";
}

Ledger::Ledger(LedgerOptions options, Database& database, observe::Registry& registry,
               observe::Log& log)
    : options_(std::move(options)),
      database_(database),
      log_(log),
      folder_({options_.folder, options_.queue,
               std::max(options_.queue_bytes, options_.queue * kRowBytes), options_.memory}),
      counts_(std::make_shared<Counts>()),
      until_(loop_, Time::max()),
      pause_(loop_, Time::max()),
      syncs_(loop_, Time::max()),
      batch_(std::make_unique<Batch>()) {
  for (unsigned i = 0; i < options_.workers; ++i) {
    books_.push_back(std::make_unique<Book>(folder_, options_.rows_bytes, options_.sums_bytes));
  }
  counts_->spool = folder_.counts();
  show(registry, counts_);
}

Ledger::~Ledger() { stop(Clock::now() + 1s); }

const Served* Ledger::served(std::string_view model, std::string_view engine,
                             std::string_view route) {
  const std::lock_guard lock(served_mutex_);
  for (const Served& one : served_) {
    if (one.model == model && one.engine == engine && one.route == route) return &one;
  }
  // Names come from the configuration; so many reloads with new ones each time there are not.
  if (served_.size() == kMostServed) return &served_.front();
  served_.push_back({std::string(model), std::string(engine), std::string(route)});
  return &served_.back();
}

Result<void> Ledger::start() {
  Result<void> opened = folder_.open();
  if (!opened) return opened;
  collect_left();
  for (const auto& book : books_) {
    for (int both = 0; both < 2; ++both) {
      book->rows().prepare();
      book->sums().prepare();
    }
  }
  coroutines_ = 2;
  thread_ = std::thread([this] {
    give_way();
    loop_.spawn(sync_on(syncs_));
    loop_.spawn(write_on(until_));
    loop_.run();
  });
  return {};
}

void Ledger::stop(Time until) {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this, until] {
    stopping_ = true;
    until_.move(until);
    pause_.call_off(Why::draining);
  });
  thread_.join();
  stopped_ = true;
  for (const auto& book : books_) {
    book->rows().finish();
    book->sums().finish();
  }
  look();
  folder_.sync();
}

std::uint64_t Ledger::written() const { return counts_->written.load(std::memory_order_relaxed); }
std::uint64_t Ledger::replayed() const { return counts_->replayed.load(std::memory_order_relaxed); }
std::uint64_t Ledger::dropped() const {
  return counts_->refused.load(std::memory_order_relaxed) + folder_.counts()->dropped;
}

// ---- what is there -----------------------------------------------------------------------------

// Looks through the files of earlier runs: how many records they hold, and which are none of ours.
void Ledger::collect_left() {
  std::uint64_t records = 0;
  for (const std::string& path : folder_.left()) {
    Result<std::string> bytes = Left::read(path);
    if (!bytes) {
      damaged(path, bytes.error().detail);
      continue;
    }
    const SegmentHead head = read_head(*bytes);
    switch (head.what) {
      case SegmentHead::What::empty: std::remove(path.c_str()); continue;
      case SegmentHead::What::version:
        damaged(path, fmt::format("it is of version {}", head.version));
        continue;
      case SegmentHead::What::damaged: damaged(path, "its head is damaged"); continue;
      case SegmentHead::What::good: break;
    }
    Record record;
    for (std::size_t at = head.done;;) {
      const Found found = read_record(*bytes, head.tail, at, record);
      if (found == Found::end || found == Found::lost) break;
      if (found == Found::record) ++records;
    }
    left_.push_back(path);
  }
  if (left_.empty()) return;
  folder_.add_records(records);
  log_.info("an earlier run left usage rows", {{"rows", records}, {"files", left_.size()}});
}

// Fills the batch: what earlier runs left first, then a part of each book.
void Ledger::collect() {
  *batch_ = Batch();
  while (!reading_ && !left_.empty()) {
    const std::string path = std::move(left_.front());
    left_.pop_front();
    Result<std::string> bytes = Left::read(path);
    const SegmentHead head = bytes ? read_head(*bytes) : SegmentHead();
    if (head.what != SegmentHead::What::good) {
      damaged(path, "it changed while it waited");
      continue;
    }
    reading_ = std::make_unique<Left>(path, *std::move(bytes), head);
  }
  if (reading_) {
    Left& left = *reading_;
    left.damaged |= take(left.bytes, left.at, left.tail, batch_->left_to) > 0;
    batch_->from_left = batch_->records.size();
  }
  for (const auto& book : books_) {
    for (Spool* spool : {&book->rows(), &book->sums()}) {
      if (batch_->full()) return;
      const Spool::Part part = spool->part();
      if (part.segment == nullptr) continue;
      std::size_t to = 0;
      const std::size_t unread = take(part.segment->bytes(), part.from, part.to, to);
      if (unread > 0) spool->mark_damaged();
      batch_->unread += unread;
      batch_->claims.push_back({spool, to});
    }
  }
}

// Takes records until the batch is full, and says in `reached` how far; how many were damaged.
std::size_t Ledger::take(std::string_view bytes, std::size_t from, std::size_t to,
                         std::size_t& reached) {
  Batch& batch = *batch_;
  std::size_t unread = 0;
  Record record;
  reached = from;
  while (!batch.full()) {
    const Found found = read_record(bytes, to, reached, record);
    if (found == Found::record) {
      batch.bytes += record.payload.size();
      batch.records.push_back(record);
      continue;
    }
    if (found == Found::damaged || found == Found::lost) ++unread;
    if (found == Found::end || found == Found::lost) {
      reached = to;
      break;
    }
  }
  return unread;
}

// The batch is in the database, or will never be.
void Ledger::settle() {
  Batch& batch = *batch_;
  const std::size_t mine = batch.records.size() - batch.from_left;
  counts_->written.fetch_add(mine - batch.none, std::memory_order_relaxed);
  counts_->replayed.fetch_add(batch.from_left - batch.none_of_left, std::memory_order_relaxed);
  folder_.give_records(batch.records.size() + batch.unread);
  for (const Batch::Claim& claim : batch.claims) claim.spool->advance(claim.to);
  if (batch.left_to != 0) {
    Left& left = *reading_;
    left.at = batch.left_to;
    if (left.at >= left.tail) {
      if (left.damaged) {
        damaged(left.path, "some of its records are damaged");
      } else {
        std::remove(left.path.c_str());
      }
      reading_.reset();
    }
  }
}

void Ledger::damaged(const std::string& path, std::string_view what) {
  const std::string to = folder_.set_aside(path);
  log_.error("a file of the usage spool is set aside", {{"file", to}, {"reason", what}});
}

// ---- into the database -------------------------------------------------------------------------

Task<void> Ledger::write_on(Deadline& until) {
  Duration pause{};
  while (!until.over()) {
    const auto wall = std::chrono::system_clock::now();
    for (const auto& book : books_) {
      book->close_sums(stopping_ ? std::nullopt : std::optional(wall));
    }
    collect();
    if (batch_->nothing()) {
      if (stopping_) break;
      co_await sleep_until(Clock::now() + options_.flush, pause_);
      continue;
    }
    Result<void> put_in = co_await put(0, batch_->records.size(), until);
    if (put_in) {
      settle();
      pause = Duration();
      if (std::exchange(away_, false)) {
        log_.info("the store takes usage rows again", {{"waiting", waiting()}});
      }
      // A full batch: there is more. Else the next one fills up first.
      if (!stopping_ && !batch_->full()) {
        co_await sleep_until(Clock::now() + options_.flush, pause_);
      }
      continue;
    }
    if (!std::exchange(away_, true)) {
      log_.warning("usage rows wait for the store",
                   {{"reason", put_in.error().detail}, {"waiting", waiting()}});
    }
    pause = std::clamp<Duration>(pause * 2, options_.flush, kPauseMost);
    const auto jittered = std::chrono::duration_cast<Duration>(pause * (0.5 + random_.unit() / 2));
    Deadline& under = stopping_ ? until : pause_;
    co_await sleep_until(Clock::now() + jittered, under);
  }
  syncs_.call_off(Why::draining);
  ended();
}

// The loop goes with the last of its coroutines: none of them is left in the middle.
void Ledger::ended() {
  if (--coroutines_ == 0) loop_.stop();
}

// All of these records. If the database says no to them for ever it is asked for each half: one
// that means nothing to it must not hold up the others.
Task<Result<void>> Ledger::put(std::size_t from, std::size_t to, Deadline& until) {
  if (from == to) co_return Result<void>();
  Result<void> appended = co_await append(from, to, until);
  if (appended) co_return appended;
  const Error& error = appended.error();
  const bool for_ever =
      !error.retry &&
      (error.kind == Kind::refused || error.kind == Kind::invalid || error.kind == Kind::too_large);
  if (!for_ever) co_return appended;
  if (to - from == 1) {
    refuse(from, error.detail);
    co_return Result<void>();
  }
  const std::size_t middle = from + (to - from) / 2;
  Result<void> first = co_await put(from, middle, until);
  if (!first) co_return first;
  Result<void> second = co_await put(middle, to, until);
  co_return second;
}

Task<Result<void>> Ledger::append(std::size_t from, std::size_t to, Deadline& until) {
  std::vector<UsageRow> rows;
  rows.reserve(to - from);
  for (std::size_t i = from; i < to; ++i) {
    const Record& record = batch_->records[i];
    if (record.kind == kNone) continue;
    std::optional<UsageRow> row = read_row(record.kind, record.payload, record.lines);
    if (!row) {
      refuse(i, "it cannot be read");
    } else if (row->count == 0) {
      leave_out(i);
    } else {
      rows.push_back(*std::move(row));
    }
  }
  if (rows.empty()) co_return Result<void>();
  Written written;
  if (options_.written) {
    written.begin = std::chrono::system_clock::now();
    written.rows = rows.size();
    for (const UsageRow& row : rows) {
      if (!row.trace_id.empty()) written.trace_ids.push_back(row.trace_id);
    }
  }
  const Time begun = Clock::now();
  Deadline deadline(until, begun + kAnswer);
  Result<void> appended = co_await database_.append_usage(std::move(rows), deadline);
  if (options_.written) {
    written.took = Clock::now() - begun;
    if (!appended) written.error = &appended.error();
    options_.written(written);
  }
  co_return appended;
}

// It is not asked for again, however often the batch is.
void Ledger::leave_out(std::size_t which) {
  batch_->records[which].kind = kNone;
  ++(which < batch_->from_left ? batch_->none_of_left : batch_->none);
}

void Ledger::refuse(std::size_t which, std::string_view why) {
  const bool kept = folder_.keep_refused(batch_->records[which]);
  counts_->refused.fetch_add(1, std::memory_order_relaxed);
  leave_out(which);
  log_.error("a usage row is set aside",
             {{"reason", why}, {"folder", folder_.path()}, {"kept", kept}});
}

// ---- the rest of the thread's work -------------------------------------------------------------

Task<void> Ledger::sync_on(Deadline& until) {
  while (!until.over()) {
    sync();
    look();
    co_await sleep_until(Clock::now() + options_.sync, until);
  }
  sync();
  ended();
}

void Ledger::sync() {
  for (const auto& book : books_) {
    for (Spool* spool : {&book->rows(), &book->sums()}) {
      spool->prepare();
      Result<void> synced = spool->sync();
      if (!synced) {
        log_.warning("the usage spool cannot be synced", {{"reason", synced.error().detail}});
      }
    }
  }
  folder_.sync();
}

// Tells what an operator should know of.
void Ledger::look() {
  const std::string trouble = folder_.trouble();
  if (trouble.empty() != !in_memory_) {
    in_memory_ = !trouble.empty();
    if (in_memory_) {
      log_.warning("usage rows wait in memory: the spool cannot grow", {{"reason", trouble}});
    } else {
      log_.info("the usage spool can grow again", {});
    }
  }
  for (const auto& book : books_) {
    for (Spool* spool : {&book->rows(), &book->sums()}) {
      for (const std::string& path : spool->take_kept()) {
        log_.error("a file of the usage spool is set aside",
                   {{"file", path}, {"reason", "some of its records are damaged"}});
      }
    }
  }
  const std::uint64_t lost = folder_.counts()->dropped;
  if (lost > dropped_said_ && (stopped_ || Clock::now() >= say_dropped_at_)) {
    say_dropped_at_ = Clock::now() + kSayAgain;
    log_.error("usage rows are dropped: there is no room for more",
               {{"rows", lost - dropped_said_}, {"waiting", waiting()}});
    dropped_said_ = lost;
  }
}

void Ledger::declare(observe::Registry& registry) { show(registry, {}); }

void Ledger::show(observe::Registry& registry, const std::weak_ptr<const Counts>& of) {
  // Weak: the registry may be read when the ledger is gone.
  const auto watch = [&](observe::Type type, const char* name, const char* help,
                         observe::Labels labels, std::uint64_t (*read)(const Counts&)) {
    registry.watch(type, name, help, std::move(labels),
                   [weak = of, read]() -> std::optional<double> {
                     const auto counts = weak.lock();
                     if (!counts) return std::nullopt;
                     return static_cast<double>(read(*counts));
                   });
  };
  constexpr const char* kRecords = "penstock_usage_records_total";
  constexpr const char* kHelp = "Rows of usage that came to the database, or were dropped.";
  using observe::Type;
  watch(Type::counter, kRecords, kHelp, {{"result", "written"}},
        [](const Counts& counts) { return counts.written.load(); });
  watch(Type::counter, kRecords, kHelp, {{"result", "replayed"}},
        [](const Counts& counts) { return counts.replayed.load(); });
  watch(Type::counter, kRecords, kHelp, {{"result", "dropped"}},
        [](const Counts& counts) { return counts.refused.load() + counts.spool->dropped.load(); });
  watch(Type::gauge, "penstock_usage_queue_records", "Rows of usage that wait for the database.",
        {}, [](const Counts& counts) { return counts.spool->records.load(); });
}

}  // namespace penstock::store
