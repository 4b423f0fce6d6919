#include "json_reference.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace penstock::fuzz {
namespace {

constexpr std::size_t kMostMembers = 100'000;
constexpr long long kMostExponent = 1'000'000'000'000;

// The character that [at, end) begins with, by RFC 3629; no length if there is none.
struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;
};
Character character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return {};
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (length == 1) return {lead, 1};
  if (lead < 0xc0 || lead > 0xf7 || text.size() < length) return {};
  std::uint32_t code = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const std::uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, length};
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

bool digit(char c) { return c >= '0' && c <= '9'; }

class Reader {
 public:
  Reader(std::string_view text, const JsonRules& rules) : rest_(text), rules_(rules) {}

  bool whole(Json& json) {
    if (!value(json, 0)) return false;
    space();
    return rest_.empty();
  }

 private:
  void space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool accept(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  bool expect(std::string_view text) {
    space();
    return accept(text);
  }

  bool value(Json& json, std::size_t depth) {
    space();
    if (accept("null")) return true;
    for (const bool truth : {true, false}) {
      if (!accept(truth ? "true" : "false")) continue;
      json.kind = Json::Kind::boolean;
      json.truth = truth;
      return true;
    }
    if (rest_.starts_with('"')) {
      json.kind = Json::Kind::string;
      return string(json.text);
    }
    if (rest_.starts_with('{')) return depth < rules_.depth && object(json, depth);
    if (rest_.starts_with('[')) return depth < rules_.depth && array(json, depth);
    json.kind = Json::Kind::number;
    return number(json.text);
  }

  bool object(Json& json, std::size_t depth) {
    json.kind = Json::Kind::object;
    accept("{");
    if (expect("}")) return true;
    std::set<std::string> names;
    do {
      space();
      std::string name;
      if (!string(name) || !expect(":")) return false;
      if (!names.insert(name).second && !rules_.names_may_repeat) return false;
      if (++members_ > kMostMembers) return false;
      json.members.push_back({std::move(name), {}});
      if (!value(json.members.back().value, depth + 1)) return false;
    } while (expect(","));
    return expect("}");
  }

  bool array(Json& json, std::size_t depth) {
    json.kind = Json::Kind::array;
    accept("[");
    if (expect("]")) return true;
    do {
      json.elements.emplace_back();
      if (!value(json.elements.back(), depth + 1)) return false;
    } while (expect(","));
    return expect("]");
  }

  bool hex4(std::uint32_t& code) {
    if (rest_.size() < 4) return false;
    code = 0;
    for (const char c : rest_.substr(0, 4)) {
      const std::size_t at = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
      if (at == std::string_view::npos) return false;
      code = code << 4 | static_cast<std::uint32_t>(at % 16);
    }
    rest_.remove_prefix(4);
    return true;
  }

  bool string(std::string& text) {
    if (!accept("\"")) return false;
    while (!accept("\"")) {
      const Character next = character(rest_);
      if (next.length == 0 || next.code < 0x20) return false;
      rest_.remove_prefix(next.length);
      if (next.code != '\\') {
        append_utf8(text, next.code);
        continue;
      }
      if (rest_.empty()) return false;
      const char escape = rest_.front();
      rest_.remove_prefix(1);
      const std::size_t plain = std::string_view("\"\\/bfnrt").find(escape);
      if (plain != std::string_view::npos) {
        text += "\"\\/\b\f\n\r\t"[plain];
        continue;
      }
      std::uint32_t code = 0;
      if (escape != 'u' || !hex4(code)) return false;
      if (code >= 0xd800 && code < 0xe000) {
        std::uint32_t low = 0;
        if (code >= 0xdc00 || !accept("\\u") || !hex4(low) || low < 0xdc00 || low > 0xdfff)
          return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      }
      append_utf8(text, code);
    }
    return true;
  }

  bool digits(std::string& text) {
    const std::size_t before = text.size();
    while (!rest_.empty() && digit(rest_.front())) {
      text += rest_.front();
      rest_.remove_prefix(1);
    }
    return text.size() > before;
  }

  bool number(std::string& text) {
    if (accept("-")) text += '-';
    if (accept("0")) {
      text += '0';
    } else if (!digits(text)) {
      return false;
    }
    if (accept(".")) {
      text += '.';
      if (!digits(text)) return false;
    }
    const bool zero = text.find_first_of("123456789") == std::string::npos;
    std::string exponent;
    if (accept("e") || accept("E")) {
      text += 'e';
      if (accept("-")) {
        exponent = "-";
      } else {
        accept("+");
      }
      if (!digits(exponent)) return false;
      text += exponent;
    }
    if (zero) return true;
    if (!exponent.empty() && std::fabs(std::strtod(exponent.c_str(), nullptr)) > kMostExponent) {
      return false;
    }
    return !std::isinf(std::strtod(text.c_str(), nullptr));
  }

  std::string_view rest_;
  const JsonRules& rules_;
  std::size_t members_ = 0;
};

// ---- writing -----------------------------------------------------------------------------------

class Writer {
 public:
  explicit Writer(Chance& chance) : chance_(chance) {}

  void value(const Json& json) {
    space();
    switch (json.kind) {
      case Json::Kind::null: out += "null"; break;
      case Json::Kind::boolean: out += json.truth ? "true" : "false"; break;
      case Json::Kind::number: number(json.text); break;
      case Json::Kind::string: string(json.text); break;
      case Json::Kind::array:
        out += '[';
        for (const Json& element : json.elements) {
          if (&element != &json.elements.front()) out += ',';
          value(element);
        }
        out += ']';
        break;
      case Json::Kind::object: object(json);
    }
    space();
  }

  std::string out;

 private:
  void space() {
    while (chance_.one_in(4)) out += " \t\r\n"[chance_.below(4)];
  }

  void object(const Json& json) {
    std::vector<const Json::Member*> order;
    for (const Json::Member& member : json.members) order.push_back(&member);
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[chance_.below(i)]);
    }
    out += '{';
    for (const Json::Member* member : order) {
      if (member != order.front()) out += ',';
      space();
      string(member->name);
      space();
      out += ':';
      value(member->value);
    }
    space();
    out += '}';
  }

  void unit(std::uint32_t code) {
    char text[8];
    std::snprintf(text, sizeof text, chance_.one_in(2) ? "\\u%04x" : "\\u%04X", code);
    out += text;
  }

  void string(std::string_view text) {
    const bool often = chance_.one_in(3);
    out += '"';
    while (!text.empty()) {
      const Character next = character(text);
      const std::string_view raw = text.substr(0, next.length);
      text.remove_prefix(next.length);
      const bool must = next.code < 0x20 || next.code == '"' || next.code == '\\';
      if (!must && !chance_.one_in(often ? 2 : 50)) {
        out += raw;
        continue;
      }
      const std::size_t brief = std::string_view("\"\\/\b\f\n\r\t").find(raw);
      if (brief != std::string_view::npos && chance_.one_in(2)) {
        out += {'\\', "\"\\/bfnrt"[brief]};
      } else if (next.code < 0x10000) {
        unit(next.code);
      } else {
        unit(0xd800 + ((next.code - 0x10000) >> 10));
        unit(0xdc00 + ((next.code - 0x10000) & 0x3ff));
      }
    }
    out += '"';
  }

  // As it was, or its digits with a point and an exponent of another choice.
  void number(const std::string& text) {
    if (chance_.one_in(3)) {
      out += text;
      return;
    }
    const std::size_t mark = text.find('e');
    long long exponent = mark == std::string::npos ? 0 : std::atoll(text.c_str() + mark + 1);
    if (exponent > kMostExponent / 2 ||
        exponent < -kMostExponent / 2) {  // written another way it could be beyond
      out += text;
      return;
    }
    std::string digits;
    bool fraction = false;
    for (const char c : std::string_view(text).substr(0, mark)) {
      if (c == '.') fraction = true;
      if (!digit(c)) continue;
      digits += c;
      if (fraction) --exponent;
    }
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    if (digits.empty()) {
      constexpr const char* kZeros[] = {"0", "-0", "0.0", "0e7", "0E-99999999999999999999"};
      out += kZeros[chance_.below(std::size(kZeros))];
      return;
    }
    if (text.front() == '-') out += '-';
    for (std::size_t zeros = chance_.below(5); zeros > 0; --zeros) {
      digits += '0';
      --exponent;
    }
    const std::size_t whole = chance_.below(digits.size() + 1);
    exponent += static_cast<long long>(digits.size() - whole);
    out += whole == 0 ? "0" : digits.substr(0, whole);
    if (whole < digits.size()) out += '.' + digits.substr(whole);
    if (exponent != 0 || chance_.one_in(3)) {
      out += chance_.one_in(2) ? 'e' : 'E';
      if (exponent >= 0 && chance_.one_in(2)) out += '+';
      out += std::to_string(exponent);
    }
  }

  Chance& chance_;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  const Json* found = nullptr;
  for (const Member& member : members) {
    if (member.name == name) found = &member.value;
  }
  return found;
}

std::optional<Json> read_json(std::string_view text, const JsonRules& rules) {
  Json json;
  if (!Reader(text, rules).whole(json)) return std::nullopt;
  return json;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = character(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string write_anew(const Json& json, Chance& chance) {
  Writer writer(chance);
  writer.value(json);
  return std::move(writer.out);
}

}  // namespace penstock::fuzz
