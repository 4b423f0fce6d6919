// What PostgreSQL alone is asked: the ways of usage rows, this node's place among the nodes, LSNs.
#pragma once

#include "store/statements.h"

namespace penstock::store {

// The partition of the month that a time is in; made where it is not there.
extern const Statement kMakeMonth;
extern const Statement kRetireMonth;
extern const Statement kCopyUsage;
extern const Statement kMoveUsage;

extern const Statement kBeatLock;
extern const Statement kBeat;
extern const Statement kForgetNodes;
extern const Statement kGoodbye;
extern const Statement kPrimaryLsn;
extern const Statement kReplicaLsn;

Part postgres_statements();

// The first microsecond of a time's month of UTC.
std::int64_t month_of(std::int64_t time_us);

}  // namespace penstock::store
