#include "base/deadline.h"

#include <algorithm>

namespace penstock {

Deadline::Deadline(Loop& loop, Time at) : loop_(loop), limit_(at) {
  if (at != Time::max()) loop_.set(*this, at);
}

Deadline::Deadline(Deadline& parent, Time at)
    : loop_(parent.loop_),
      limit_(std::min(at, parent.limit_)),
      why_(parent.why_),
      parent_(&parent) {
  assert(parent.child_ == nullptr && parent.interrupt_ == nullptr);
  parent.child_ = this;
  // The parent's own alarm covers the parent's time.
  if (at < parent.limit_) loop_.set(*this, at);
}

Deadline::~Deadline() {
  assert(child_ == nullptr);
  if (parent_ != nullptr) parent_->child_ = nullptr;
}

void Deadline::move(Time at) {
  limit_ = parent_ != nullptr ? std::min(at, parent_->limit_) : at;
  loop_.set(*this, parent_ != nullptr && limit_ == parent_->limit_ ? Time::max() : limit_);
}

void Deadline::call_off(Why why) {
  if (over()) return;
  why_ = why;
  if (child_ != nullptr) {
    child_->call_off(why);
  } else if (interrupt_ != nullptr) {
    interrupt_(self_);
  }
}

void Deadline::ring(Time) { call_off(Why::time); }

Error Deadline::error(std::string_view what, Source source) const {
  switch (why_) {
    case Why::left:
      return {Kind::cancelled, Source::client, false, std::string(what) + ": the client left"};
    case Why::draining:
      return {Kind::cancelled, Source::gateway, true, std::string(what) + ": the gateway stops"};
    case Why::not_over:
    case Why::time: break;
  }
  return {Kind::timeout, source, false, std::string(what) + ": no answer in time"};
}

}  // namespace penstock
