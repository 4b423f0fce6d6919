#include "settings/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <unordered_map>

#include "settings/text.h"

namespace penstock::settings {
namespace {

// "none" of a number.
constexpr std::uint32_t kUncounted = std::numeric_limits<std::uint32_t>::max();

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

template <class T>
Result<Value, Fault> value_from(Result<T, Fault> parsed) {
  if (!parsed) return std::move(parsed).error();
  return Value(*std::move(parsed));
}

bool visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// What the admin listener answers at other paths must not be hidden by the metrics.
bool taken(std::string_view path) {
  constexpr std::array<std::string_view, 6> kWhole = {"/",       "/status.js", "/livez",
                                                      "/readyz", "/startupz",  "/health"};
  constexpr std::array<std::string_view, 4> kBelow = {"/health/", "/admin/", "/debug/", "/pprof/"};
  return std::find(kWhole.begin(), kWhole.end(), path) != kWhole.end() ||
         std::any_of(kBelow.begin(), kBelow.end(),
                     [&](std::string_view start) { return path.starts_with(start); });
}

// Compared byte by byte with what browsers send, so it must be as they write it.
std::optional<Fault> fault_of_origin(std::string_view text) {
  if (text == "*") return std::nullopt;
  const std::size_t scheme = text.find("://");
  if (scheme == text.npos || scheme == 0)
    return Fault{"the scheme is missing: https://app.example"};
  if (!visible(text)) return Fault{"it has spaces, control or non-ASCII characters"};
  const std::string_view host = text.substr(scheme + 3);
  if (host.empty()) return Fault{"the host is missing"};
  if (host.find_first_of("/?#") != host.npos) {
    return Fault{"an origin has no path, and no / at its end"};
  }
  if (host.find('*') != host.npos) return Fault{"`*` stands only alone"};
  if (std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return Fault{"browsers write origins in lower case"};
  }
  if ((text.starts_with("https:") && host.ends_with(":443")) ||
      (text.starts_with("http:") && host.ends_with(":80"))) {
    return Fault{"browsers leave out the usual port"};
  }
  return std::nullopt;
}

Result<Value, Fault> text_of_form(Form form, std::string_view text) {
  switch (form) {
    case Form::any:
      for (const char c : text) {
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
          return Fault{"it has control characters"};
        }
      }
      break;
    case Form::name:
      if (text.empty() || text.size() > 64 ||
          text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789._-") != text.npos) {
        return Fault{};
      }
      break;
    case Form::model:
      if (text.empty() || text.size() > 256 || !visible(text)) return Fault{};
      break;
    case Form::token:
      if (!visible(text)) return Fault{"it has spaces, control or non-ASCII characters"};
      break;
    case Form::origin:
      if (auto fault = fault_of_origin(text)) return *std::move(fault);
      break;
    case Form::database:
      if (!visible(text)) return Fault{"it has spaces, control or non-ASCII characters"};
      if (!(text.starts_with("sqlite:") && text.size() > 7) && !text.starts_with("postgresql://") &&
          !text.starts_with("postgres://")) {
        return Fault{};
      }
      break;
    case Form::path:
      if (!text.starts_with('/') || !visible(text) || text.find_first_of("?#") != text.npos) {
        return Fault{};
      }
      if (taken(text)) return Fault{"the admin listener has something else there"};
      break;
  }
  return Value(std::string(text));
}

Result<Value, Fault> word_of(const Key& key, std::string_view text) {
  for (std::size_t i = 0; i < key.words.size(); ++i) {
    if (key.words[i].name == text && key.words[i].later.empty()) {
      return Value(WordIndex{static_cast<std::uint8_t>(i)});
    }
  }
  return Fault{};
}

bool is_special(const Key& key, std::string_view text) {
  for (std::string_view rest = key.special; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(','));
    if (word == text) return true;
    rest.remove_prefix(std::min(rest.size(), word.size() + 2));
  }
  return false;
}

// By its type alone, whatever its range.
Result<Value, Fault> read(const Key& key, std::string_view text) {
  switch (key.type) {
    case Type::boolean: return value_from(parse_boolean(text));
    case Type::integer: return value_from(parse_integer(text));
    case Type::number: return value_from(parse_number(text));
    case Type::size: return value_from(parse_size(text));
    case Type::duration: return value_from(parse_duration(text));
    case Type::ratio: return value_from(parse_ratio(text));
    case Type::rate: return value_from(parse_rate(text));
    case Type::address: return value_from(parse_address(text));
    case Type::url: return value_from(parse_url(text));
    case Type::word: return word_of(key, text);
    case Type::text:
    case Type::texts:
    case Type::values: return text_of_form(key.form, text);
    case Type::section: return word_of(key, text);
    case Type::sections:
    case Type::named: break;
  }
  return Fault{};
}

// REQUIRES: both of the same type.
bool less(const Value& a, const Value& b) {
  return std::visit(
      [&]<class T>(const T& value) {
        if constexpr (std::totally_ordered<T>) {
          return value < std::get<T>(b);
        } else {
          return false;
        }
      },
      a);
}

std::string_view form_name(Form form) {
  switch (form) {
    case Form::any: return "a text";
    case Form::name: return "a name of letters, digits, \".\", \"_\" and \"-\", at most 64";
    case Form::model: return "a name without spaces, at most 256 characters";
    case Form::token: return "a text without spaces";
    case Form::origin: return "an origin such as https://app.example, or `*` for all";
    case Form::database: return "sqlite:PATH or postgresql://user@host/db";
    case Form::path: return "a path such as /metrics";
  }
  return "a text";
}

std::string words_of(const Key& key) {
  std::vector<std::string_view> names;
  for (const Word& word : key.words) {
    if (word.later.empty()) names.push_back(word.name);
  }
  return either(names);
}

std::string type_name(const Key& key) {
  switch (key.type) {
    case Type::section:
      return (key.words.empty() ? "" : words_of(key) + ", or ") + "a mapping (`key: value` lines)";
    case Type::sections: return "a list of mappings";
    case Type::named: return "a mapping of names to mappings";
    case Type::values: return "a mapping of names to texts";
    case Type::texts: return "a list of texts";
    case Type::boolean: return "true or false";
    case Type::integer: return "a whole number";
    case Type::number: return "a number";
    case Type::size: return "a size such as 32KiB";
    case Type::duration: return "a time such as 250ms or 10s";
    case Type::ratio: return "a percentage such as 10%";
    case Type::rate: return "a rate such as 600/m";
    case Type::word: return words_of(key);
    case Type::text: return std::string(form_name(key.form));
    case Type::address: return "an address such as 127.0.0.1:8080 or [::1]:8080";
    case Type::url: return "a URL such as https://engine.example/v1";
  }
  return {};
}

std::string word_at(const Key& key, std::size_t index) {
  return std::string(key.words[index].name);
}

}  // namespace

std::string_view Key::leaf() const { return path.substr(path.rfind('.') + 1); }

std::string_view Key::parent() const {
  const std::size_t dot = path.rfind('.');
  return dot == path.npos ? std::string_view{} : path.substr(0, dot);
}

const std::vector<Key>& table() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> all;
    for (auto part : {edge_keys(), engine_keys(), resilience_keys(), cache_keys(), access_keys(),
                      remaining_keys()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    // A section stands before its keys, so that one pass hands its reason down.
    std::unordered_map<std::string_view, std::string_view> later;
    for (Key& key : all) {
      std::string_view parent = key.parent();
      if (parent.ends_with("[]")) parent.remove_suffix(2);
      if (const auto found = later.find(parent); key.later.empty() && found != later.end()) {
        key.later = found->second;
      }
      if (!key.later.empty()) later.emplace(key.path, key.later);
    }
    return all;
  }();
  return keys;
}

const Key* find(std::string_view path) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const Key*> all;
    for (const Key& key : table()) all.emplace(key.path, &key);
    return all;
  }();
  const auto found = index.find(path);
  return found == index.end() ? nullptr : found->second;
}

std::vector<const Key*> keys_in(std::string_view section) {
  std::vector<const Key*> keys;
  for (const Key& key : table()) {
    if (key.parent() == section) keys.push_back(&key);
  }
  return keys;
}

Result<Value, Fault> value_of(const Key& key, std::string_view text) {
  if (is_special(key, text)) return Value(std::monostate{});
  // An empty text is an option that is not used, as its default says.
  const bool single = key.type == Type::text || key.type == Type::url;
  if (text.empty() && single && key.standard.empty() && !key.required) return Value(std::string());
  Result<Value, Fault> value = read(key, text);
  if (!value) return value;
  // A bound is written as a value of the same type.
  if (!key.least.empty() && less(*value, *read(key, key.least))) return Fault{"it is too small"};
  // Fields of whole numbers have 32 bits where the table does not say more.
  std::string_view most = key.most;
  if (most.empty() && key.type == Type::integer) most = "4294967295";
  if (!most.empty() && less(*read(key, most), *value)) return Fault{"it is too large"};
  return value;
}

std::string refusal_of(const Key& key, std::string_view text, bool hide) {
  if (hide || key.secret) return "its value cannot be used";
  // A URL may have got into an option that takes none.
  const bool url = key.type == Type::url || text.find("://") != text.npos;
  return fmt::format("cannot be {}", shown(url ? without_secrets(text) : std::string(text)));
}

std::string expected(const Key& key) {
  std::string text = type_name(key);
  if (!key.least.empty() && !key.most.empty()) {
    text += key.type == Type::integer || key.type == Type::number ? " " : ", ";
    text += fmt::format("from {} to {}", key.least, key.most);
  }
  if (!key.special.empty()) text += fmt::format(", or {}", key.special);
  return text;
}

void put(const Key& key, void* object, Value value) {
  std::visit(Match{
                 [&](bool* f) { *f = std::get<bool>(value); },
                 [&](std::uint32_t* f) {
                   const auto* number = std::get_if<std::uint64_t>(&value);
                   *f = number != nullptr ? static_cast<std::uint32_t>(*number) : kUncounted;
                 },
                 [&](std::uint64_t* f) { *f = std::get<std::uint64_t>(value); },
                 [&](std::optional<std::uint32_t>* f) {
                   const auto* number = std::get_if<std::uint64_t>(&value);
                   *f = number != nullptr ? std::optional(static_cast<std::uint32_t>(*number))
                                          : std::nullopt;
                 },
                 [&](std::optional<double>* f) {
                   const auto* number = std::get_if<double>(&value);
                   *f = number != nullptr ? std::optional(*number) : std::nullopt;
                 },
                 [&](std::optional<Bytes>* f) {
                   const auto* bytes = std::get_if<Bytes>(&value);
                   *f = bytes != nullptr ? std::optional(*bytes) : std::nullopt;
                 },
                 [&](std::optional<Duration>* f) {
                   const auto* time = std::get_if<Duration>(&value);
                   *f = time != nullptr ? std::optional(*time) : std::nullopt;
                 },
                 [&](std::optional<Rate>* f) {
                   const auto* rate = std::get_if<Rate>(&value);
                   *f = rate != nullptr ? std::optional(*rate) : std::nullopt;
                 },
                 [&](double* f) { *f = std::get<double>(value); },
                 [&](Bytes* f) { *f = std::get<Bytes>(value); },
                 [&](Duration* f) {
                   const auto* time = std::get_if<Duration>(&value);
                   *f = time != nullptr ? *time : kNoLimit;
                 },
                 [&](Address* f) { *f = std::get<Address>(std::move(value)); },
                 [&](std::string* f) { *f = std::get<std::string>(std::move(value)); },
                 [&](std::vector<std::string>* f) {
                   f->push_back(std::get<std::string>(std::move(value)));
                 },
                 [&](std::vector<NamedValue>* f) {
                   // The name was put first, by the caller.
                   f->back().value = std::get<std::string>(std::move(value));
                 },
                 [&](const Choice& f) {
                   if (const auto* word = std::get_if<WordIndex>(&value)) {
                     f.put(f.field, word->index);
                   }  // else it is left open
                 },
             },
             key.field(object));
}

std::string written(const Key& key, const void* object, bool hide) {
  const auto text = [&](const std::string& value) {
    if (hide && key.form == Form::database) return quote(without_secrets(value));
    if (hide && key.secret && !value.empty()) return quote("***");
    std::string literal = value;
    for (std::size_t at = literal.find("${"); at != literal.npos; at = literal.find("${", at + 3)) {
      literal.insert(at, 1, '$');
    }
    return quote(literal);
  };
  return std::visit(Match{
                        [](const bool* f) { return to_text(*f); },
                        [&](const std::uint32_t* f) {
                          const bool none = *f == kUncounted && !key.special.empty();
                          return none ? std::string(key.special) : fmt::format("{}", *f);
                        },
                        [](const std::uint64_t* f) { return fmt::format("{}", *f); },
                        [&](const std::optional<std::uint32_t>* f) {
                          return *f ? fmt::format("{}", **f) : std::string(key.special);
                        },
                        [&](const std::optional<double>* f) {
                          if (!*f) return std::string(key.special);
                          return key.type == Type::ratio ? ratio_to_text(**f) : to_text(**f);
                        },
                        [&](const std::optional<Bytes>* f) {
                          return *f ? to_text(**f) : std::string(key.special);
                        },
                        [&](const std::optional<Duration>* f) {
                          return *f ? to_text(**f) : std::string(key.special);
                        },
                        [&](const std::optional<Rate>* f) {
                          return *f ? to_text(**f) : std::string(key.special);
                        },
                        [&](const double* f) {
                          return key.type == Type::ratio ? ratio_to_text(*f) : to_text(*f);
                        },
                        [](const Bytes* f) { return to_text(*f); },
                        [&](const Duration* f) {
                          const bool none = *f == kNoLimit && !key.special.empty();
                          return none ? std::string(key.special) : to_text(*f);
                        },
                        [](const Address* f) { return quote(to_string(*f)); },
                        [&](const std::string* f) { return text(*f); },
                        [&](const std::vector<std::string>* f) {
                          std::string list = "[";
                          for (const std::string& value : *f) {
                            if (list.size() > 1) list += ", ";
                            list += text(value);
                          }
                          return list + "]";
                        },
                        [&](const std::vector<NamedValue>* f) {
                          std::string map = "{";
                          for (const NamedValue& value : *f) {
                            if (map.size() > 1) map += ", ";
                            map += quote(value.name) + ": " + text(value.value);
                          }
                          return map + "}";
                        },
                        [&](const Choice& f) {
                          const std::uint8_t index = f.get(f.field);
                          return index == kNotChosen ? std::string(key.special)
                                                     : word_at(key, index);
                        },
                    },
                    // Access is written for changing; nothing is changed here.
                    key.field(const_cast<void*>(object)));
}

}  // namespace penstock::settings
