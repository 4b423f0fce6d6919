// The one table of all options. From it come parsing, the errors, the reference, the JSON Schema
// and what is shown of the settings in force; an option is added here, and in settings.h where it
// exists in this version.
//
// A path names a place: "listen.limits.body", "engines[].timeout.total" (of every element). A
// section stands before what is in it. What does not exist yet is in the table too, with a word
// on why it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/result.h"
#include "settings/settings.h"
#include "settings/values.h"

namespace penstock::settings {

enum class Type : std::uint8_t {
  section,   // a mapping whose keys are in the table
  sections,  // a list of such; its keys' paths go on with "[]."
  named,     // a mapping of free names to such; likewise
  values,    // a mapping of free names to texts
  texts,     // a list of texts
  boolean,
  integer,
  number,
  size,
  duration,
  ratio,
  rate,
  word,  // one of `words`
  text,
  address,
  url,
};

// What a text must look like beside its type.
enum class Form : std::uint8_t {
  any,       // no control bytes
  name,      // goes into metric labels, headers and logs: letters, digits, ".", "_", "-"; up to 64
  model,     // visible ASCII, up to 256
  token,     // may stand in a header: visible ASCII
  origin,    // of web pages: "*", or scheme://host[:port] as browsers write it
  database,  // sqlite:PATH or postgresql://...; shown without what may be secret
  path,  // on the admin listener, where nothing else is: "/" and visible ASCII without "?" and "#"
};

struct Word {
  std::string_view name;
  std::string_view later = {};  // as Key::later
};

// A member of Settings, EngineSettings or ModelSettings, whatever its type.
inline constexpr std::uint8_t kNotChosen = 255;
struct Choice {  // an enumeration, as its value's number; kNotChosen where it may be left open
  void* field;
  std::uint8_t (*get)(const void* field);
  void (*put)(void* field, std::uint8_t value);
};
using Field =
    std::variant<bool*, std::uint32_t*, std::uint64_t*, std::optional<std::uint32_t>*,
                 std::optional<double>*, std::optional<Rate>*, std::optional<Bytes>*,
                 std::optional<Duration>*, double*, Bytes*, Duration*, Address*, std::string*,
                 std::vector<std::string>*, std::vector<NamedValue>*, Choice>;
using Access = Field (*)(void* object);

// `at<Settings>([](auto& s) { return &s.listen.address; })`
template <class Object, class Member>
constexpr Access at(Member) {
  return [](void* object) -> Field {
    auto* field = Member{}(*static_cast<Object*>(object));
    using Value = std::remove_pointer_t<decltype(field)>;
    if constexpr (requires { requires std::is_enum_v<typename Value::value_type>; }) {
      // Not set is the last word of the key's.
      return Choice{field,
                    [](const void* from) {
                      const auto& choice = *static_cast<const Value*>(from);
                      return choice ? static_cast<std::uint8_t>(*choice) : kNotChosen;
                    },
                    [](void* to, std::uint8_t value) {
                      *static_cast<Value*>(to) = static_cast<typename Value::value_type>(value);
                    }};
    } else if constexpr (std::is_enum_v<Value>) {
      return Choice{field,
                    [](const void* from) {
                      return static_cast<std::uint8_t>(*static_cast<const Value*>(from));
                    },
                    [](void* to, std::uint8_t value) {
                      *static_cast<Value*>(to) = static_cast<Value>(value);
                    }};
    } else {
      return field;
    }
  };
}

// Which kinds of engines have an option: a set of bits, one an EngineKind; 0 is all.
constexpr std::uint8_t only(EngineKind kind) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(kind));
}

struct Key {
  std::string_view path;
  Type type = Type::section;
  std::string_view standard = {};  // the default, as it would be written in the file
  std::string_view least = {};     // the range, written the same way; empty is open
  std::string_view most = {};
  std::string_view special =
      {};  // a word that is taken in place of a value: auto, off; none, no limit
  // In the order of the enumeration, those to come last. A section with words may be written as
  // one of them instead; the first is what it is with all its defaults.
  std::vector<Word> words = {};
  Form form = Form::any;
  std::string_view unit = {};  // of a number
  bool required = false;
  bool secret = false;
  std::uint8_t kinds = 0;
  std::string_view later = {};  // not in this version, and why: "HTTP/2 is still to come"
  std::string_view help = {};   // sentences
  Access field = nullptr;       // none where there is no value, or not yet
  // sections: a new element at the end; named: likewise, of this name.
  void* (*add)(void* object, std::string_view name) = nullptr;

  std::string_view leaf() const;    // "body" of "listen.limits.body"
  std::string_view parent() const;  // "listen.limits"; "engines[]" of "engines[].url"
};

// In the order of the file. What lies in a section to come is to come for the same reason.
const std::vector<Key>& table();

const Key* find(std::string_view path);
// The keys directly in a section: "" for the outermost, "engines[]" for the elements of a list.
std::vector<const Key*> keys_in(std::string_view section);

// A value as its key's type has it; nothing for the key's special word.
struct WordIndex {
  std::uint8_t index;
};
using Value = std::variant<std::monostate, bool, std::uint64_t, double, Bytes, Duration, Rate,
                           Address, std::string, WordIndex>;

// Reads one text: of a scalar key, or of an element of `texts` and `values`.
Result<Value, Fault> value_of(const Key& key, std::string_view text);

// Says that `value_of` refused this text, and shows of it what is surely no secret. `hide`:
// nothing.
std::string refusal_of(const Key& key, std::string_view text, bool hide);

// What `value_of` takes: "a size such as 32KiB, from 1KiB to 1MiB".
std::string expected(const Key& key);

// Stores a value in `object`; adds it to a list. REQUIRES: key.field, a value of its type.
void put(const Key& key, void* object, Value value);

// As it would be written in the file; of a list or mapping in flow style. `hide` puts "***" for
// secrets that are not empty. REQUIRES: key.field.
std::string written(const Key& key, const void* object, bool hide);

// The parts of the table.
std::vector<Key> edge_keys();
std::vector<Key> engine_keys();
std::vector<Key> resilience_keys();
std::vector<Key> cache_keys();
std::vector<Key> access_keys();
std::vector<Key> remaining_keys();

}  // namespace penstock::settings
