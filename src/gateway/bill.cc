#include "gateway/bill.h"

#include <cmath>

namespace penstock::gateway {

// A price is of a million tokens; a thousand billionths of a unit are a millionth.
Nano cost_of(const settings::EngineSettings::Price& price, const Usage& usage) {
  return static_cast<Nano>(std::llround((static_cast<double>(usage.input) * price.input +
                                         static_cast<double>(usage.output) * price.output) *
                                        1e3));
}

Bill::~Bill() { write(); }

void Bill::call_begins(const settings::EngineSettings::Price& price, observe::Counter cost,
                       std::uint64_t input) {
  price_ = price;
  cost_ = cost;
  input_ = input;
  calling_ = true;
}

void Bill::used(const Usage& usage) {
  row.tokens = usage;
  row.cost = cost_of(price_, usage);
  if (row.cost > 0) cost_.add(static_cast<double>(row.cost) / kNanoPerUnit);
  if (tenant) tenant->used(usage, row.cost);
  ticket.settle(usage.input + usage.output, row.cost, Clock::now());
}

void Bill::used_about(std::uint64_t output) {
  Usage about;
  about.input = input_;
  about.output = output;
  used(about);
}

void Bill::close() {
  if (!calling_) write();
}

void Bill::write() {
  if (std::exchange(written_, true)) return;
  if (book_ != nullptr) book_->add(row);
}

}  // namespace penstock::gateway
