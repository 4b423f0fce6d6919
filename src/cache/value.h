// How an answer lies in Redis.
//
//   'P' 'S' | version 1 | flags | checksum 8 | size 4 | content, by zstd where flags bit 0 is set
//
//   content: scope, model, engine, each with its length in 4 bytes before it;
//   count of tags 1, tags likewise; status 2, form 1; stored, expires 8 (ms since 1970);
//   made in, first token after 8 (us); usage 4 x 8; purge 8; body: the rest
//
// All numbers little endian. The checksum (XXH3) is of all behind it, so the first sixteen bytes
// tell two values apart. What has another version, another size or another checksum is no value,
// never an error: the question is asked anew (reliability: cache safety).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/entry.h"

namespace penstock::cache {

// An answer as it is told to other processes: times are of the wall.
struct Value {
  std::string scope;
  std::string model;
  std::string engine;
  std::vector<std::string> tags;
  int status = 200;
  Form form = Form::plain;
  std::int64_t stored_ms = 0;
  std::int64_t expires_ms = 0;
  std::int64_t made_us = 0;         // how long the engine took for it
  std::int64_t first_token_us = 0;  // of a stream; 0: not known
  Usage usage;
  std::uint64_t purge = 0;  // the last purge that was known when it was asked for
  std::string body;
};

inline constexpr std::size_t kValueHead = 16;
inline constexpr std::size_t kMostTags = 16;
inline constexpr std::size_t kMostTagBytes = 128;  // of one

// `compress_over`: larger contents are compressed, where that makes them smaller.
std::string encode(const Value& value, std::uint64_t compress_over);

// Puts the right checksum into bytes that have room for one: for tests and the fuzzer.
void seal(std::string& bytes);

// Nothing: it is damaged, of another version, or its body is larger than `most_body`.
std::optional<Value> decode(std::string_view bytes, std::size_t most_body);

}  // namespace penstock::cache
