// A question on a connection of its own, for what is asked seldom and of whoever is there.
#pragma once

#include "redis/origin.h"

namespace penstock::redis {

// An Error of Redis's own is an Error here. Everything referred to must outlive the call.
Task<Result<Value>> ask_once(Origin& origin, Words words, Deadline& deadline);

}  // namespace penstock::redis
