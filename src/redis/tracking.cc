#include "redis/tracking.h"

namespace penstock::redis {

Tracking::Fetch::Fetch(Tracking& tracking, std::string_view key)
    : tracking_(tracking), key_(key), vouch_(tracking.vouch_) {
  if (tracking_.ears_) tracking_.fetches_.emplace(key_, this);
}

Tracking::Fetch::~Fetch() {
  const auto [first, last] = tracking_.fetches_.equal_range(key_);
  for (auto it = first; it != last; ++it) {
    if (it->second != this) continue;
    tracking_.fetches_.erase(it);
    return;
  }
}

void Tracking::begin(std::shared_ptr<const Ears> ears) {
  ears_ = std::move(ears);
  vouch_ = ears_->vouchers->issue();
}

void Tracking::end() {
  if (ears_) ears_->vouchers->withdraw(std::exchange(vouch_, 0));
}

void Tracking::renew() {
  end();
  if (ears_) vouch_ = ears_->vouchers->issue();
}

bool Tracking::invalidate(const Value& push) {
  if (push.items.size() != 2 || push.items[0].text != "invalidate") return false;
  if (!ears_) return true;
  const Value& keys = push.items[1];
  if (keys.is_null()) {
    invalidate_all();
  } else {
    for (const Value& key : keys.items) invalidate_key(key.text);
  }
  return true;
}

void Tracking::invalidate_key(std::string_view key) {
  const auto [first, last] = fetches_.equal_range(key);
  for (auto it = first; it != last; ++it) it->second->changed_ = true;
  if (ears_->changed) ears_->changed(key, vouch_);
}

void Tracking::invalidate_all() {
  renew();
  for (const auto& [key, fetch] : fetches_) fetch->changed_ = true;
  if (ears_->changed) ears_->changed({}, 0);
}

}  // namespace penstock::redis
