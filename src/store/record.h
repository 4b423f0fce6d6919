// A line of the ledger as bytes of the spool.
//
//   kRow   one request: the fixed part, then its texts one behind the other
//   kSum   the same for what a sum is of, and two lines behind it: its counters, twice
//
//   line 0   count, complexity · input · output · cached · reasoning · cost · duration · check
//   line 1   the same, one hit before or after
//
// A hit writes the line that is not valid, and its check last. However a process ends, one of the
// two is whole: the sum is that of so many hits, in all of its columns, and never half of one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "exchange/usage_row.h"

namespace penstock::store {

inline constexpr std::uint16_t kRow = 1;
inline constexpr std::uint16_t kSum = 2;
inline constexpr std::uint16_t kSumLines = 2;

std::size_t encoded_size(const UsageRow& row);
// With this id in the place of its own. REQUIRES: room for encoded_size(row).
void encode(const UsageRow& row, const Uuid& id, char* to);
// Nothing where the bytes are no row.
std::optional<UsageRow> decode(std::string_view bytes);

// One line.
struct Counters {
  std::uint32_t count;
  std::uint32_t complexity;  // the sum of hundredths, each and one; 0: none was known
  std::uint64_t input;
  std::uint64_t output;
  std::uint64_t cached_input;
  std::uint64_t reasoning;
  std::int64_t cost;
  std::int64_t duration_us;
  std::uint64_t check;
};
static_assert(sizeof(Counters) == 64);

// Adds one hit; `complexity` is 0 to 1, or negative where the question has none.
// REQUIRES: `lines` are a sum's, zero or written here alone.
void add_hit(Counters* lines, const Usage& saved, Nano cost, std::int64_t duration_us,
             float complexity = -1);
// The line that is valid and newer; nothing where none is, as before the first hit.
std::optional<Counters> read_counters(std::string_view lines);

// The row of a record of either kind. Nothing: it is of another kind or means nothing. A sum
// without a hit is a row with count 0.
std::optional<UsageRow> read_row(std::uint16_t kind, std::string_view payload,
                                 std::string_view lines);

}  // namespace penstock::store
