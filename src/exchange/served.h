// What answered: interned, so that a hit of the cache names it by its address.
#pragma once

#include <string>

namespace penstock {

// Made once for each that there is (store::Ledger::served) and never moved or freed.
struct Served {
  std::string model;   // as configured
  std::string engine;  // whose answer it was
  std::string route;   // "chat", "completions", "embeddings"
};

}  // namespace penstock
