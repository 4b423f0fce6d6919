// What one request comes to: its row of the ledger, and what it holds of its limits.
//
//   the request ──┐
//                 ├── Bill ── row written, limits settled: once, when both have ended
//   its call   ───┘
//
// A call may outlive the request that began it: others follow it, or it is on its way when the
// client leaves. The bill is then closed by whoever ends last. All on one loop.
#pragma once

#include <memory>

#include "exchange/usage_row.h"
#include "limit/limiter.h"
#include "observe/metrics.h"
#include "settings/settings.h"
#include "store/book.h"

namespace penstock::gateway {

Nano cost_of(const settings::EngineSettings::Price& price, const Usage& usage);

class Bill {
 public:
  explicit Bill(store::Book* book) : book_(book) {}
  Bill(const Bill&) = delete;
  Bill& operator=(const Bill&) = delete;
  ~Bill();

  // A call of an engine at these prices begins, and has ended.
  void call_begins(const settings::EngineSettings::Price& price, observe::Counter cost);
  void used(const Usage& usage);
  void call_ended() { calling_ = false; }

  // The request has come to its end: the row is written now, or as soon as its call has ended.
  void close();
  // There is nothing to write: it was counted otherwise.
  void forget() { written_ = true; }

  UsageRow row;
  limit::Ticket ticket;

 private:
  void write();

  store::Book* book_;
  settings::EngineSettings::Price price_;
  observe::Counter cost_;
  bool calling_ = false;
  bool written_ = false;
};
using BillPtr = std::shared_ptr<Bill>;

}  // namespace penstock::gateway
