// What one request comes to: its row of the ledger, and what it holds of its limits.
//
//   the request ──┐
//                 ├── Bill ── row written, limits settled: once, when both have ended
//   its call   ───┘
//
// A call may outlive the request that began it: others follow it, or it is on its way when the
// client leaves. The bill is then closed by whoever ends last. All on one loop. What is seen of the
// two is theirs likewise, and kept when both have let go.
#pragma once

#include <memory>
#include <string_view>

#include "exchange/usage_row.h"
#include "gateway/tenant_metrics.h"
#include "limit/limiter.h"
#include "observe/metrics.h"
#include "settings/settings.h"
#include "store/book.h"
#include "trace/trace.h"

namespace penstock::gateway {

Nano cost_of(const settings::EngineSettings::Price& price, const Usage& usage);

// How many tokens a text is about: four bytes of English each, and JSON adds to them.
constexpr std::uint64_t tokens_about(std::string_view text) { return text.size() / 4 + 1; }

class Bill {
 public:
  explicit Bill(store::Book* book) : book_(book) {}
  Bill(const Bill&) = delete;
  Bill& operator=(const Bill&) = delete;
  ~Bill();

  // A call of an engine at these prices begins, with about so many tokens of input, and has ended.
  void call_begins(const settings::EngineSettings::Price& price, observe::Counter cost,
                   std::uint64_t input);
  // What the engine counted.
  void used(const Usage& usage);
  // The engine's count never came: it has none, or the client left or the stream broke before it.
  // What was answered is paid for as far as it can be seen, or leaving early would be free.
  void used_about(std::uint64_t output);
  void call_ended() { calling_ = false; }

  // The request has come to its end: the row is written now, or as soon as its call has ended.
  void close();
  // There is nothing to write: it was counted otherwise.
  void forget() { written_ = true; }

  UsageRow row;
  TenantMetricsPtr tenant;  // null: it has no series of its own
  limit::Ticket ticket;
  trace::Trace trace;  // sees nothing where it was not begun
  // Of what is kept for certain: for the histograms of its calls.
  observe::TraceId exemplar() const {
    const trace::Context& context = trace.seen.context;
    return context.sampled ? observe::TraceId{context.trace.high, context.trace.low}
                           : observe::TraceId();
  }

 private:
  void write();

  store::Book* book_;
  settings::EngineSettings::Price price_;
  observe::Counter cost_;
  std::uint64_t input_ = 0;
  bool calling_ = false;
  bool written_ = false;
};
using BillPtr = std::shared_ptr<Bill>;

}  // namespace penstock::gateway
