// The slots of a Redis cluster: which of them a key is in, who has them, where an answer sends to
// (https://redis.io/docs/reference/cluster-spec/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "redis/command.h"
#include "redis/value.h"

namespace penstock::redis {

constexpr std::uint16_t kSlots = 16384;

// CRC16 of the key, or of what stands between its first { and the } behind it.
std::uint16_t slot_of(std::string_view key);

// The key by which a command finds its node: the first one of a script, else the word behind the
// command. Nothing: any node will do.
std::optional<std::string_view> key_of(Words words);

struct Place {
  std::string host;
  std::uint16_t port = 0;
  // "host:port", an IPv6 host in brackets.
  std::string text() const;
};

// Who has which slots. Masters only have them; replicas are of the cluster too.
struct SlotMap {
  struct Range {
    std::uint16_t first;
    std::uint16_t last;
    std::uint16_t master;  // among `masters`
  };
  std::vector<Place> masters;
  std::vector<Place> replicas;
  std::vector<Range> ranges;
};
// The answer to CLUSTER SLOTS. `asked`: the host that gave it, which may leave its own name out.
Result<SlotMap> read_slots(const Value& answer, const std::string& asked);

// What an error says of where the command belongs.
struct Redirect {
  enum class Kind : std::uint8_t {
    moved,      // the slot is there now
    ask,        // the slot is on its way: this once, behind ASKING
    try_again,  // its keys are in both places: here, in a moment
  };
  Kind kind;
  std::uint16_t slot = 0;
  Place place{};  // an empty host: the one that answered
};
std::optional<Redirect> redirect_of(const Value& answer);

}  // namespace penstock::redis
