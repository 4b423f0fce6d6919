#include "redis/slots.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace penstock::redis {
namespace {

// CRC-16/XMODEM: polynomial 0x1021, nothing reflected, begins with 0.
constexpr std::array<std::uint16_t, 256> make_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr std::array<std::uint16_t, 256> kTable = make_table();

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, number);
  return ec == std::errc{} && stop == end;
}

Error bad(std::string_view why) {
  return {Kind::broken, Source::store, true, "CLUSTER SLOTS: " + std::string(why)};
}

bool read_slot(const Value& value, std::uint16_t& slot) {
  if (!value.is_integer() || value.integer < 0 || value.integer >= kSlots) return false;
  slot = static_cast<std::uint16_t>(value.integer);
  return true;
}

// [host, port, id, ...]. Nothing: there is such a node, but the server does not know where.
std::optional<Place> read_place(const Value& value, const std::string& asked) {
  if (value.items.size() < 2 || !value.items[1].is_integer()) return std::nullopt;
  const Value& host = value.items[0];
  const std::int64_t port = value.items[1].integer;
  if (port <= 0 || port > 65535 || host.text == "?") return std::nullopt;
  return Place{host.text.empty() ? asked : host.text, static_cast<std::uint16_t>(port)};
}

// What is between the first two spaces and behind them: "3999" and "127.0.0.1:6381".
bool read_target(std::string_view rest, Redirect& redirect) {
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos) return false;
  if (!read_number(rest.substr(0, space), redirect.slot) || redirect.slot >= kSlots) return false;
  rest.remove_prefix(space + 1);
  rest = rest.substr(0, rest.find(' '));
  const std::size_t colon = rest.rfind(':');  // an IPv6 address has more of them
  if (colon == std::string_view::npos) return false;
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  redirect.place.host = host;
  return read_number(rest.substr(colon + 1), redirect.place.port) && redirect.place.port != 0;
}

}  // namespace

std::uint16_t slot_of(std::string_view key) {
  if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  unsigned crc = 0;
  for (const char c : key) {
    crc = ((crc << 8) & 0xffff) ^ kTable[(crc >> 8) ^ static_cast<unsigned char>(c)];
  }
  return static_cast<std::uint16_t>(crc % kSlots);
}

std::optional<std::string_view> key_of(Words words) {
  // A message goes through the whole cluster from wherever it is said.
  if (words.size() < 2 || words[0] == "PUBLISH") return std::nullopt;
  static constexpr std::array<std::string_view, 5> kScripts = {"EVALSHA", "EVAL", "EVALSHA_RO",
                                                               "EVAL_RO", "FCALL"};
  if (std::find(kScripts.begin(), kScripts.end(), words[0]) == kScripts.end()) return words[1];
  if (words.size() < 4 || words[2] == "0") return std::nullopt;
  return words[3];
}

std::string Place::text() const {
  const bool colons = host.find(':') != std::string::npos;
  return (colons ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<SlotMap> read_slots(const Value& answer, const std::string& asked) {
  if (!answer.is_list()) return bad("no list");
  SlotMap map;
  std::map<std::string, std::uint16_t> known;
  for (const Value& entry : answer.items) {
    SlotMap::Range range{};
    if (entry.items.size() < 3 || !read_slot(entry.items[0], range.first) ||
        !read_slot(entry.items[1], range.last) || range.last < range.first) {
      return bad("a range that is none");
    }
    for (std::size_t i = 3; i < entry.items.size(); ++i) {
      std::optional<Place> replica = read_place(entry.items[i], asked);
      if (replica) map.replicas.push_back(*std::move(replica));
    }
    std::optional<Place> master = read_place(entry.items[2], asked);
    if (!master) continue;
    const auto [at, fresh] =
        known.emplace(master->text(), static_cast<std::uint16_t>(map.masters.size()));
    if (fresh) map.masters.push_back(*std::move(master));
    range.master = at->second;
    map.ranges.push_back(range);
  }
  if (map.ranges.empty()) return bad("nobody has a slot");
  return map;
}

std::optional<Redirect> redirect_of(const Value& answer) {
  if (!answer.is_error()) return std::nullopt;
  const std::string_view text = answer.text;
  Redirect redirect{Redirect::Kind::try_again};
  if (text.starts_with("TRYAGAIN")) return redirect;
  if (text.starts_with("MOVED ")) {
    redirect.kind = Redirect::Kind::moved;
    if (read_target(text.substr(6), redirect)) return redirect;
  } else if (text.starts_with("ASK ")) {
    redirect.kind = Redirect::Kind::ask;
    if (read_target(text.substr(4), redirect)) return redirect;
  }
  return std::nullopt;
}

}  // namespace penstock::redis
