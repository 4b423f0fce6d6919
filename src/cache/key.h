// The name that an answer is kept under: SHA-256 over what the question means.
//
//   length-prefixed: version | scope | endpoint | model | canonical parameters
//
// A client may choose its question, not its key: finding two questions with one key would be a
// collision of SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock::cache {

using Key = std::array<std::uint8_t, 32>;

std::string hex(const Key& key);  // 64 digits

// One a worker: the digest is looked up once and its context used again.
class KeyMaker {
 public:
  KeyMaker();
  ~KeyMaker();

  // `model` names what answers: the resolved model, its engine, the version of its knowledge.
  Key make(std::string_view scope, Endpoint endpoint, std::string_view model,
           std::string_view canonical);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace penstock::cache
