// Why somebody is not let in.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::access {

struct Refused {
  enum class Why : std::uint8_t {
    missing,    // neither a key nor a token
    malformed,  // not written as one
    unknown,    // nobody's, or not signed by whom it says
    expired,    // its time is over
    revoked,    // withdrawn, rotated away, or its tenant is no more
    error,      // nobody could be asked: the database or the keys' source is away
  };
  Why why = Why::unknown;
  std::string detail;  // for the log; holds nothing of the key or token
};

inline const char* name_of(Refused::Why why) {
  switch (why) {
    case Refused::Why::missing: return "missing";
    case Refused::Why::malformed: return "malformed";
    case Refused::Why::unknown: return "unknown";
    case Refused::Why::expired: return "expired";
    case Refused::Why::revoked: return "revoked";
    case Refused::Why::error: break;
  }
  return "error";
}

}  // namespace penstock::access
