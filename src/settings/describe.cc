// The settings in force, written along the table.
#include <fmt/format.h>

#include "settings/settings.h"
#include "settings/table.h"
#include "settings/text.h"

namespace penstock::settings {
namespace {

// Lines of YAML for one section; of an element of a list the first line begins with "- ".
void write_keys(std::string_view scope, const void* object, std::uint8_t kind, std::size_t indent,
                std::string& out, bool element = false);

template <class T>
void write_list(const std::vector<T>& elements, std::string_view scope, std::size_t indent,
                std::string& out) {
  for (const T& one : elements) {
    std::uint8_t kind = 0;
    if constexpr (std::is_same_v<T, EngineSettings>) kind = only(one.kind);
    write_keys(scope, &one, kind, indent, out, true);
  }
}

void write_named(const std::vector<NamedQuotas>& elements, std::string_view scope,
                 std::size_t indent, std::string& out) {
  for (const NamedQuotas& one : elements) {
    out += fmt::format("{}{}:\n", std::string(indent, ' '), quote(one.name));
    write_keys(scope, &one, 0, indent + 2, out);
  }
}

void write_keys(std::string_view scope, const void* object, std::uint8_t kind, std::size_t indent,
                std::string& out, bool element) {
  for (const Key* key : keys_in(scope)) {
    if (!key->later.empty()) continue;
    if (key->kinds != 0 && (key->kinds & kind) == 0) continue;
    std::string lead(indent, ' ');
    if (element) lead[indent - 2] = '-';
    element = false;
    out += fmt::format("{}{}:", lead, key->leaf());
    // A section is shown whole unless one word says it all.
    const bool whole = key->type == Type::section &&
                       (key->words.empty() || written(*key, object, true) == key->words[0].name);
    if (key->field != nullptr && !whole) {
      out += fmt::format(" {}\n", written(*key, object, true));
      continue;
    }
    out += '\n';
    if (key->path == "engines") {
      write_list(static_cast<const Settings*>(object)->engines, "engines[]", indent + 4, out);
    } else if (key->path == "models") {
      write_list(static_cast<const Settings*>(object)->models, "models[]", indent + 4, out);
    } else if (key->path == "tenants") {
      write_list(static_cast<const Settings*>(object)->tenants, "tenants[]", indent + 4, out);
    } else if (key->path == "budgets") {
      write_list(static_cast<const Settings*>(object)->budgets, "budgets[]", indent + 4, out);
    } else if (key->path == "limits.models") {
      write_named(static_cast<const Settings*>(object)->limits.models, "limits.models[]",
                  indent + 2, out);
    } else {
      write_keys(key->path, object, kind, indent + 2, out);
    }
  }
}

}  // namespace

std::string describe(const Settings& settings) {
  std::string out;
  write_keys("", &settings, 0, 0, out);
  return out;
}

}  // namespace penstock::settings
