// What is seen of a request as spans for a backend: OpenTelemetry's names.
//
// The HTTP attributes are those of the stable conventions; gen_ai.* is still moving, so its names
// stand together in convert.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trace/backend.h"
#include "trace/trace.h"

namespace penstock::trace {

// Of an engine, by its name: what a span of a call says beside.
struct EngineFacts {
  std::string provider;  // gen_ai.provider.name
  std::string address;   // server.address; empty: it is in this process
  std::uint16_t port = 0;
};

struct Facts {
  std::map<std::string, EngineFacts, std::less<>> engines;
  std::string database;  // db.system.name: "sqlite", "postgresql"
};

// The request's own span first, then those of its steps.
std::vector<ExportSpan> convert(const Finished& trace, const Facts& facts);

}  // namespace penstock::trace
