// What is seen of a request as spans for a backend: OpenTelemetry's names.
//
// The HTTP attributes are those of the stable conventions; gen_ai.* is still moving, so its names
// stand together in exchange/gen_ai.h.
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
  // db.query.text, with placeholders as it is sent: by a step's name, or by its name and result
  // where the same name stands for several.
  std::map<std::string, std::string, std::less<>> queries;
};

// What was asked and answered as the conventions have messages: JSON, empty where there is none.
struct Messages {
  std::string input, output;
};

// The request's own span first, then those of its steps. `messages` go to what was asked of a
// model, else to the request.
std::vector<ExportSpan> convert(const Finished& trace, const Facts& facts,
                                const Messages& messages = {});
// `requests`: as far as they are exported.
ExportSpan convert(const Flush& flush, const Facts& facts, std::vector<Context> requests,
                   Random& random);

}  // namespace penstock::trace
