#include "store/record.h"

#include <array>
#include <atomic>
#include <cstring>

namespace penstock::store {
namespace {

// Grows at its end only, with a new kind of record for the new form.
struct Fixed {
  std::int64_t time_us;
  std::uint64_t count;
  std::uint64_t input, output, cached_input, reasoning;
  std::int64_t cost;
  double complexity;
  std::int64_t duration_us, engine_us, first_token_us;
  std::int32_t status;
  std::uint32_t flags;
  std::array<std::uint32_t, 12> lengths;
  std::array<char, 36> id;
  std::uint32_t zero;
};
static_assert(sizeof(Fixed) == 184);

constexpr std::uint32_t kComplexity = 1;
constexpr std::uint32_t kFirstToken = 2;

template <class Row>
auto texts(Row& row) {
  return std::array{&row.tenant,   &row.key,   &row.model,    &row.engine,
                    &row.route,    &row.cache, &row.session,  &row.request_id,
                    &row.trace_id, &row.error, &row.question, &row.answer};
}

std::uint64_t check_of(const Counters& line) {
  // Odd factors: a change of any one word changes the sum. A line of zeros does not fit.
  const std::uint64_t counts = line.count | std::uint64_t{line.complexity} << 32;
  const std::uint64_t sum = counts * 0x9e3779b97f4a7c15 + line.input * 0xbf58476d1ce4e5b9 +
                            line.output * 0x94d049bb133111eb +
                            line.cached_input * 0xd6e8feb86659fd93 +
                            line.reasoning * 0xa0761d6478bd642f +
                            static_cast<std::uint64_t>(line.cost) * 0xe7037ed1a0b428db +
                            static_cast<std::uint64_t>(line.duration_us) * 0x8ebc6af09c88c6e3;
  return (sum ^ (sum >> 29)) + 0x589965cc75374cc3;
}

}  // namespace

std::size_t encoded_size(const UsageRow& row) {
  std::size_t size = sizeof(Fixed);
  for (const std::string* text : texts(row)) size += text->size();
  return size;
}

void encode(const UsageRow& row, const Uuid& id, char* to) {
  Fixed fixed{};
  fixed.time_us = row.time_us;
  fixed.count = row.count;
  fixed.input = row.tokens.input;
  fixed.output = row.tokens.output;
  fixed.cached_input = row.tokens.cached_input;
  fixed.reasoning = row.tokens.reasoning;
  fixed.cost = row.cost;
  fixed.complexity = row.complexity.value_or(0);
  fixed.duration_us = row.duration_us;
  fixed.engine_us = row.engine_us;
  fixed.first_token_us = row.first_token_us.value_or(0);
  fixed.status = row.status;
  fixed.flags = (row.complexity ? kComplexity : 0) | (row.first_token_us ? kFirstToken : 0);
  fixed.id = id;
  char* text_at = to + sizeof fixed;
  std::size_t number = 0;
  for (const std::string* text : texts(row)) {
    fixed.lengths[number++] = static_cast<std::uint32_t>(text->size());
    std::memcpy(text_at, text->data(), text->size());
    text_at += text->size();
  }
  std::memcpy(to, &fixed, sizeof fixed);
}

std::optional<UsageRow> decode(std::string_view bytes) {
  if (bytes.size() < sizeof(Fixed)) return std::nullopt;
  Fixed fixed{};
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  bytes.remove_prefix(sizeof fixed);
  UsageRow row;
  std::size_t number = 0;
  for (std::string* text : texts(row)) {
    const std::size_t length = fixed.lengths[number++];
    if (length > bytes.size()) return std::nullopt;
    text->assign(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  if (!bytes.empty()) return std::nullopt;
  row.id = fixed.id;
  row.time_us = fixed.time_us;
  row.count = fixed.count;
  row.tokens = {fixed.input, fixed.output, fixed.cached_input, fixed.reasoning};
  row.cost = fixed.cost;
  if ((fixed.flags & kComplexity) != 0) row.complexity = fixed.complexity;
  row.duration_us = fixed.duration_us;
  row.engine_us = fixed.engine_us;
  if ((fixed.flags & kFirstToken) != 0) row.first_token_us = fixed.first_token_us;
  row.status = fixed.status;
  return row;
}

void add_hit(Counters* lines, const Usage& saved, Nano cost, std::int64_t duration_us,
             float complexity) {
  const std::uint32_t before = std::max(lines[0].count, lines[1].count);
  const Counters& old = lines[before & 1];
  Counters& line = lines[(before + 1) & 1];
  line.count = before + 1;
  line.complexity =
      old.complexity + (complexity < 0 ? 0 : static_cast<std::uint32_t>(complexity * 100 + 1.5F));
  line.input = old.input + saved.input;
  line.output = old.output + saved.output;
  line.cached_input = old.cached_input + saved.cached_input;
  line.reasoning = old.reasoning + saved.reasoning;
  line.cost = old.cost + cost;
  line.duration_us = old.duration_us + duration_us;
  std::atomic_ref(line.check).store(check_of(line), std::memory_order_release);
}

std::optional<Counters> read_counters(std::string_view lines) {
  if (lines.size() != kSumLines * sizeof(Counters)) return std::nullopt;
  std::optional<Counters> newest;
  for (std::size_t i = 0; i < kSumLines; ++i) {
    Counters line{};
    std::memcpy(&line, lines.data() + i * sizeof line, sizeof line);
    if (line.count == 0 || line.check != check_of(line)) continue;
    if (!newest || line.count > newest->count) newest = line;
  }
  return newest;
}

std::optional<UsageRow> read_row(std::uint16_t kind, std::string_view payload,
                                 std::string_view lines) {
  if (kind != kRow && kind != kSum) return std::nullopt;
  std::optional<UsageRow> row = decode(payload);
  if (!row || kind == kRow) return row;
  if (lines.size() != kSumLines * sizeof(Counters)) return std::nullopt;
  const std::optional<Counters> sum = read_counters(lines);
  if (!sum) {
    // Before the first hit, or in the middle of it; else both lines are damaged.
    std::array<Counters, kSumLines> raw{};
    std::memcpy(raw.data(), lines.data(), lines.size());
    if (raw[0].count != 0 || raw[1].count > 1) return std::nullopt;
    row->count = 0;
    return row;
  }
  row->count = sum->count;
  // A sum is of one route: all of its questions have one, or none has.
  if (sum->complexity >= sum->count) {
    row->complexity = static_cast<double>(sum->complexity - sum->count) / 100 / sum->count;
  }
  row->tokens = {sum->input, sum->output, sum->cached_input, sum->reasoning};
  row->cost = sum->cost;
  row->duration_us = sum->duration_us;
  return row;
}

}  // namespace penstock::store
