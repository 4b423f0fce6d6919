#include "gateway/popular.h"

#include <algorithm>
#include <cstring>

#include "gateway/exchange.h"
#include "gateway/headers.h"

namespace penstock::gateway {
namespace {

constexpr int kDrawn = 8;  // of which the one that was asked least leaves

}  // namespace

std::size_t Popular::KeyHash::operator()(const cache::Key& key) const {
  std::size_t hash;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

void Popular::count(const Asked& asked, std::uint64_t times) {
  if (times == 0 || asked.body.size() > kMostBody) return;
  // A worker does not wait for another, or for who takes: a few that are not counted do no harm.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  const auto known = questions_.find(asked.key);
  if (known != questions_.end()) {
    known->second.asked += times;
    return;
  }
  Question question;
  question.path = asked.path;
  question.body = asked.body;
  question.tenant = asked.tenant;
  question.scope = asked.scope;
  for (const std::string& tag : asked.tags) {
    if (!question.tags.empty()) question.tags += ',';
    question.tags += tag;
  }
  question.asked = times;
  make_room(question.bytes());
  question.place = order_.size();
  bytes_ += question.bytes();
  order_.push_back(asked.key);
  questions_.emplace(asked.key, std::move(question));
}

void Popular::make_room(std::size_t bytes) {
  while (!order_.empty() && (order_.size() >= room_ || bytes_ + bytes > kMostBytes)) {
    const cache::Key* least = nullptr;
    std::uint64_t seldom = 0;
    for (int i = 0; i < kDrawn; ++i) {
      const cache::Key& drawn = order_[random_.next() % order_.size()];
      const std::uint64_t asked = questions_.at(drawn).asked;
      if (least == nullptr || asked < seldom) {
        least = &drawn;
        seldom = asked;
      }
    }
    erase(*least);
  }
}

void Popular::erase(const cache::Key& key) {
  const auto at = questions_.find(key);
  const std::size_t place = at->second.place;
  bytes_ -= at->second.bytes();
  questions_.erase(at);
  if (place + 1 < order_.size()) {
    order_[place] = order_.back();
    questions_.at(order_[place]).place = place;
  }
  order_.pop_back();
}

std::vector<store::PopularQuestion> Popular::take() {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<const cache::Key*, Question*>> all;
  for (auto& [key, question] : questions_) {
    if (question.asked > question.told) all.emplace_back(&key, &question);
  }
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(most_, all.size()));
  const auto news = [](const auto& one) { return one.second->asked - one.second->told; };
  std::partial_sort(all.begin(), end, all.end(),
                    [&](const auto& a, const auto& b) { return news(a) > news(b); });
  std::vector<store::PopularQuestion> taken;
  for (auto at = all.begin(); at != end; ++at) {
    auto& [key, question] = *at;
    taken.push_back({cache::hex(*key), question->path, question->body, question->tenant,
                     question->scope, question->tags, static_cast<std::int64_t>(news(*at))});
    question->told = question->asked;
  }
  return taken;
}

void Popular::give_back(const std::vector<store::PopularQuestion>& taken) {
  const std::lock_guard lock(mutex_);
  std::unordered_map<std::string_view, std::uint64_t> asked;
  for (const store::PopularQuestion& one : taken) {
    asked.emplace(one.key, static_cast<std::uint64_t>(one.asked));
  }
  for (auto& [key, question] : questions_) {
    const auto at = asked.find(cache::hex(key));
    if (at != asked.end()) question.told -= std::min(question.told, at->second);
  }
}

// ---- who counts --------------------------------------------------------------------------------

// Of the very bytes that were answered before.
void Gateway::count_popular(const Standing& who, const cache::Entry& entry,
                            const http::Request& request) {
  if (house_.popular == nullptr) return;
  const std::uint32_t times = popular_pace_.weight(request.received);
  if (times == 0) return;
  house_.popular->count({entry.key, request.head.path, request.body, who.caller->tenant,
                         who.caller->cache_scope, entry.tags},
                        times);
}

// Of what was answered, by whomever. What other header fields it had is not written down.
void Gateway::count_popular(const Exchange& x) {
  if (house_.popular == nullptr || x.look.level == store::Level::semantic) return;
  const http::RequestHead& head = x.request.head;
  if (x.recorder.cache == CacheResult::none || x.recorder.cache == CacheResult::bypass ||
      !head.query.empty() || !answer_fields(head).empty()) {
    return;
  }
  const std::uint32_t times = popular_pace_.weight(x.request.received);
  if (times == 0) return;
  const Caller& caller = *x.who->caller;
  house_.popular->count({x.look.key, head.path, x.question.body, caller.tenant, caller.cache_scope,
                         x.look.wishes.tags},
                        times);
}

}  // namespace penstock::gateway
