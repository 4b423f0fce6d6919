#include "gateway/pack.h"

#include "base/give_way.h"
#include "gateway/exchange.h"
#include "gateway/keep.h"

namespace penstock::gateway {

Packer::~Packer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  more_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Packer::push(cache::EntryPtr entry, http::Packing packing) {
  const std::lock_guard lock(mutex_);
  if (ending_ || orders_.size() >= kMost || !pending_.insert({entry->key, packing}).second) return;
  orders_.push_back({std::move(entry), packing});
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  more_.notify_one();
}

void Packer::run() {
  give_way();
  std::unique_lock lock(mutex_);
  for (;;) {
    more_.wait(lock, [&] { return ending_ || !orders_.empty(); });
    if (ending_) return;
    const Order order = std::move(orders_.front());
    orders_.pop_front();
    lock.unlock();
    pack(order);
    lock.lock();
    pending_.erase({order.entry->key, order.packing});
  }
}

// What was purged or replaced meanwhile stays so; a later hit asks for what took its place.
void Packer::pack(const Order& order) {
  const auto at = static_cast<std::size_t>(order.packing);
  const std::string_view body = order.entry->plain.body();
  const std::string packed = http::compress(order.packing, http::Effort::dense, body);
  auto forms = order.entry->packed ? std::make_shared<cache::Packed>(*order.entry->packed)
                                   : std::make_shared<cache::Packed>();
  if (packed.empty() || packed.size() >= body.size()) {
    forms->useless[at] = true;
  } else {
    forms->by[at] = packed_form(*order.entry, order.packing, packed);
  }
  auto made = std::make_shared<cache::Entry>(*order.entry);
  made->packed = std::move(forms);
  cache_.replace(order.entry, made);
}

// ---- what a client takes ------------------------------------------------------------------------

Gateway::Taken Gateway::form_taken(cache::EntryPtr entry, cache::Form form,
                                   std::string_view accept_encoding) {
  const cache::Prepared& as_it_is = prepared(*entry, form);
  const std::string_view body = as_it_is.body();
  // Streams are not compressed: an event would wait for the next one.
  if (accept_encoding.empty() || &as_it_is != &entry->plain ||
      body.size() < snapshot_->settings->listen.compression.min_bytes.count) {
    return {as_it_is, std::move(entry)};
  }
  const auto packing = http::negotiate(accept_encoding, snapshot_->packings);
  if (!packing) return {as_it_is, std::move(entry)};
  const auto at = static_cast<std::size_t>(*packing);
  if (entry->packed && entry->packed->useless[at]) return {as_it_is, std::move(entry)};
  if (entry->packed && !entry->packed->by[at].empty()) {
    const cache::Prepared& packed = entry->packed->by[at];
    metrics_.packed(*packing, body.size(), packed.body().size());
    return {packed, std::move(entry)};
  }
  house_.packer.push(entry, *packing);
  if (body.size() > kPackedAtOnce) return {as_it_is, std::move(entry)};
  const std::string packed = http::compress(*packing, http::Effort::fast, body);
  if (packed.empty() || packed.size() >= body.size()) return {as_it_is, std::move(entry)};
  metrics_.packed(*packing, body.size(), packed.size());
  struct Made {
    cache::EntryPtr entry;  // whoever sends it looks at it yet
    cache::Prepared form;
  };
  cache::Prepared head_and_body = packed_form(*entry, *packing, packed);
  const auto made = std::make_shared<const Made>(Made{std::move(entry), std::move(head_and_body)});
  return {made->form, made};
}

// An answer that goes out in one piece. True: it depends on what the client takes.
bool Gateway::pack(Exchange& x, Answer& answer) {
  const Endpoint endpoint = x.question.endpoint;
  if (endpoint == Endpoint::other || answer.rest || x.with->packings.empty() ||
      !answer.content_type.starts_with("application/json")) {
    return false;
  }
  const auto coded = [](const Header& header) { return header.name == "content-encoding"; };
  if (std::any_of(answer.headers.begin(), answer.headers.end(), coded)) return false;
  if (answer.body.size() < x.settings().listen.compression.min_bytes.count ||
      answer.body.size() > kPackedAtOnce) {
    return true;
  }
  const auto packing = http::negotiate(x.request.head.find("accept-encoding"), x.with->packings);
  if (!packing) return true;
  std::string packed = http::compress(*packing, http::Effort::fast, answer.body);
  if (packed.empty() || packed.size() >= answer.body.size()) return true;
  metrics_.packed(*packing, answer.body.size(), packed.size());
  answer.body = std::move(packed);
  answer.headers.push_back({"content-encoding", std::string(http::name_of(*packing))});
  return true;
}

}  // namespace penstock::gateway
