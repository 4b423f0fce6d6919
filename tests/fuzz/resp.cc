// RESP3: however the bytes are cut on their way, there are the same values in them, those that a
// plain recursive reading finds; none is over its bounds.
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "check.h"
#include "redis/command.h"
#include "redis/parser.h"
#include "redis/slots.h"

namespace penstock::fuzz {
namespace {

using redis::Parser;
using redis::Type;
using redis::Value;

// A value as a text that no other value has.
void show(const Value& value, std::string& out) {
  out += static_cast<char>('a' + static_cast<int>(value.type));
  out += value.truth ? '1' : '0';
  std::uint64_t bits = 0;
  if (!std::isnan(value.real)) std::memcpy(&bits, &value.real, sizeof bits);
  out += std::isnan(value.real) ? 'n' : '.';
  out += std::to_string(value.integer) + "," + std::to_string(bits) + "," +
         std::to_string(value.text.size()) + ":" + value.text + "[";
  for (const Value& item : value.items) show(item, out);
  out += "]";
}

struct Read {
  std::vector<std::string> values;
  bool bad = false;
  bool operator==(const Read&) const = default;
};

struct Size {
  std::size_t depth = 0, elements = 0, bytes = 0;
};
Size measure(const Value& value) {
  Size size;
  size.bytes = value.text.size();
  for (const Value& item : value.items) {
    const Size inner = measure(item);
    size.depth = std::max(size.depth, inner.depth);
    size.elements += inner.elements + 1;
    size.bytes += inner.bytes;
  }
  if (value.is_list()) ++size.depth;
  return size;
}

template <class Piece>
Read read(std::string_view text, const Parser::Bounds& bounds, const Piece& piece) {
  Read all;
  Parser parser(bounds);
  for (std::size_t at = 0; at < text.size() && !all.bad;) {
    const Bytes part(text.substr(at, piece()));
    std::string_view rest = part.text();
    at += rest.size();
    while (!rest.empty()) {
      const Parser::Step step = parser.next(rest);
      FUZZ_CHECK(step.consumed <= rest.size(), text);
      rest.remove_prefix(step.consumed);
      if (step.state == Parser::State::bad) {
        FUZZ_CHECK(!parser.why().empty(), text);
        FUZZ_CHECK(parser.next("+OK\r\n").state == Parser::State::bad, text);
        all.bad = true;
        break;
      }
      if (step.state == Parser::State::more) {
        FUZZ_CHECK(rest.empty(), text);
        break;
      }
      FUZZ_CHECK(step.consumed > 0, text);
      FUZZ_CHECK(parser.idle(), text);
      const Value value = parser.take();
      const Size size = measure(value);
      FUZZ_CHECK(size.depth <= bounds.depth, text);
      FUZZ_CHECK(size.elements <= bounds.elements, text);
      FUZZ_CHECK(size.bytes <= bounds.bytes, text);
      show(value, all.values.emplace_back());
    }
  }
  return all;
}

// ---- the plain reading -------------------------------------------------------------------------

// One value from the front of a text; nothing where it is not whole or not right.
class Plain {
 public:
  explicit Plain(std::string_view text) : rest_(text) {}

  std::optional<Value> next() {
    elements_ = 0;
    return value(0);
  }

 private:
  static constexpr Parser::Bounds kBounds{};

  std::optional<std::string_view> line() {
    const std::size_t end = rest_.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view found = rest_.substr(0, end);
    if (found.find_first_of("\r\n") != std::string_view::npos) return std::nullopt;
    rest_.remove_prefix(end + 2);
    return found;
  }
  static std::optional<std::uint64_t> digits(std::string_view text) {
    if (text.empty()) return std::nullopt;
    std::uint64_t number = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      if (__builtin_mul_overflow(number, 10u, &number) ||
          __builtin_add_overflow(number, static_cast<unsigned>(c - '0'), &number)) {
        return std::nullopt;
      }
    }
    return number;
  }
  std::optional<Value> items(Type type, std::string_view count, std::uint64_t each, int depth) {
    const std::optional<std::uint64_t> many = digits(count);
    if (!many || *many > kBounds.elements) return std::nullopt;
    elements_ += *many * each + 1;
    if (elements_ > kBounds.elements || depth >= static_cast<int>(kBounds.depth)) {
      return std::nullopt;
    }
    Value all;
    all.type = type;
    for (std::uint64_t i = 0; i < *many * each; ++i) {
      std::optional<Value> one = value(depth + 1);
      if (!one) return std::nullopt;
      all.items.push_back(*std::move(one));
    }
    return all;
  }
  std::optional<Value> bulk(Type type, std::string_view count) {
    const std::optional<std::uint64_t> size = digits(count);
    if (!size || rest_.size() < 2 || *size > rest_.size() - 2) return std::nullopt;
    Value text;
    text.type = type;
    text.text = rest_.substr(0, *size);
    if (rest_.substr(*size, 2) != "\r\n") return std::nullopt;
    rest_.remove_prefix(*size + 2);
    return text;
  }
  std::optional<Value> value(int depth) {
    const std::optional<std::string_view> head = line();
    if (!head || head->empty()) return std::nullopt;
    const char tag = head->front();
    const std::string_view rest = head->substr(1);
    Value found;
    found.text = rest;
    switch (tag) {
      case '+': found.type = Type::text; return found;
      case '-': found.type = Type::error; return found;
      case '(': {
        found.type = Type::big;
        const bool sign = rest.starts_with('-') || rest.starts_with('+');
        const std::string_view number = rest.substr(sign ? 1 : 0);
        const bool good = !number.empty() && number.find_first_not_of("0123456789") == number.npos;
        return good ? std::optional<Value>(found) : std::nullopt;
      }
      case ':': {
        found.type = Type::integer;
        const bool sign = rest.starts_with('-') || rest.starts_with('+');
        const std::string_view number = rest.substr(sign ? 1 : 0);
        const std::optional<std::uint64_t> size = digits(number);
        const bool less = rest.starts_with('-');
        if (!size || *size > 0x7fffffffffffffffu + (less ? 1u : 0u)) return std::nullopt;
        found.integer = static_cast<std::int64_t>(less ? 0 - *size : *size);
        found.text.clear();
        return found;
      }
      case ',': {
        found.type = Type::real;
        found.text.clear();
        char* end = nullptr;
        const std::string copy(rest);
        found.real = std::strtod(copy.c_str(), &end);
        const bool special = copy == "inf" || copy == "-inf" || copy == "nan" || copy == "-nan";
        if (!special) {
          if (copy.find_first_not_of("0123456789.eE+-") != copy.npos || copy.empty()) {
            return std::nullopt;
          }
          if (*end != '\0' || found.real - found.real != 0) return std::nullopt;
          // strtod makes a zero of what is too small; that it is too small is an error of ours.
          const bool digit =
              copy.substr(0, copy.find_first_of("eE")).find_first_of("123456789") != copy.npos;
          if (digit && found.real == 0) return std::nullopt;
        }
        return found;
      }
      case '#':
        if (rest != "t" && rest != "f") return std::nullopt;
        found.type = Type::boolean;
        found.truth = rest == "t";
        found.text.clear();
        return found;
      case '_': return rest.empty() ? std::optional<Value>(Value()) : std::nullopt;
      case '$': return rest == "-1" ? Value() : bulk(Type::text, rest);
      case '!': return bulk(Type::error, rest);
      case '=': {
        std::optional<Value> text = bulk(Type::text, rest);
        if (!text || text->text.size() < 4 || text->text[3] != ':') return std::nullopt;
        text->text.erase(0, 4);
        return text;
      }
      case '*': return rest == "-1" ? Value() : items(Type::array, rest, 1, depth);
      case '~': return items(Type::set, rest, 1, depth);
      case '%': return items(Type::map, rest, 2, depth);
      case '>':
        if (depth > 0 || rest == "0") return std::nullopt;
        return items(Type::push, rest, 1, depth);
      case '|':
        if (!items(Type::map, rest, 2, depth)) return std::nullopt;
        return value(depth);
      default: return std::nullopt;
    }
  }

  std::string_view rest_;
  std::size_t elements_ = 0;
};

// ---- what holds --------------------------------------------------------------------------------

// Whatever is taken for a cluster's map or for a way to another node is within its bounds.
void check_cluster(const Value& value, std::string_view text) {
  if (const Result<redis::SlotMap> map = redis::read_slots(value, "asked")) {
    for (const redis::SlotMap::Range& range : map->ranges) {
      FUZZ_CHECK(range.first <= range.last && range.last < redis::kSlots, text);
      FUZZ_CHECK(range.master < map->masters.size(), text);
    }
  }
  if (const std::optional<redis::Redirect> redirect = redis::redirect_of(value)) {
    const bool elsewhere = redirect->kind != redis::Redirect::Kind::try_again;
    FUZZ_CHECK(redirect->slot < redis::kSlots, text);
    FUZZ_CHECK(!elsewhere || redirect->place.port != 0, text);
  }
}

void check(std::string_view text) {
  const auto at_once = [] { return std::string_view::npos; };
  for (const Parser::Bounds& bounds :
       {Parser::Bounds(), Parser::Bounds{.depth = 2, .elements = 12, .bytes = 40}}) {
    const Read whole = read(text, bounds, at_once);
    const Read single = read(text, bounds, [] { return std::size_t{1}; });
    FUZZ_CHECK(whole == single, text);
    for (int i = 0; i < 3; ++i) {
      Chance chance(std::to_string(i).append(text));
      const Read cut = read(text, bounds, [&] { return 1 + chance.below(17); });
      FUZZ_CHECK(whole == cut, text);
    }
  }

  const Read whole = read(text, {}, at_once);
  Plain plain(text);
  for (const std::string& value : whole.values) {
    const std::optional<Value> expected = plain.next();
    FUZZ_CHECK(expected.has_value(), text, value);
    std::string shown;
    show(*expected, shown);
    FUZZ_CHECK(shown == value, text, shown, value);
    check_cluster(*expected, text);
  }
  FUZZ_CHECK(!plain.next().has_value(), text);
}

// Any words, sent as a command, are these words again.
void check_round_trip(std::string_view text) {
  text = text.substr(0, 1024);
  Chance chance(text);
  std::vector<std::string_view> words = {"GET"};
  while (!text.empty()) {
    words.push_back(text.substr(0, chance.below(40)));
    text.remove_prefix(words.back().size());
    if (words.size() > 500) break;
  }
  std::string out;
  redis::append_command(out, words);
  Parser parser;
  const Parser::Step step = parser.next(out + "+OK\r\n");
  FUZZ_CHECK(step.state == Parser::State::value, out);
  FUZZ_CHECK(step.consumed == out.size(), out);
  const Value back = parser.take();
  FUZZ_CHECK(back.items.size() == words.size(), out);
  for (std::size_t i = 0; i < words.size(); ++i) FUZZ_CHECK(back.items[i].text == words[i], out);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = penstock::fuzz::text_of(data, size);
  penstock::fuzz::check(text);
  penstock::fuzz::check_round_trip(text);
  return 0;
}
