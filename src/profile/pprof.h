// A profile in pprof's format: profile.proto of github.com/google/pprof, gzip-compressed. What Go's
// pprof, Pyroscope, Parca and others read. Functions are named in it, so that the reader needs no
// program.
#pragma once

#include <string>

#include "profile/profile.h"
#include "profile/symbols.h"

namespace penstock::profile {

std::string pprof(const Profile& profile, const Symbols& symbols);

}  // namespace penstock::profile
