// The table as Markdown, which also reads well on a terminal.
#include <fmt/format.h>

#include "settings/settings.h"
#include "settings/table.h"

namespace penstock::settings {
namespace {

constexpr std::string_view kIntroduction = R"(# Settings

A YAML file, given with `penstock serve --config FILE`. Everything is optional but what is called
needed. A key that is not here, or is misspelt, is an error that names file, line, column and the
nearest key; `penstock check FILE` prints all errors of a file. On SIGHUP the file is read again,
and taken whole or not at all.

| value | written |
|---|---|
| size | a whole number with `B`, `KiB`, `MiB` or `GiB`: `32KiB`; or `0` |
| time | a whole number with `us`, `ms`, `s`, `m`, `h` or `d`: `250ms`; or `0` |
| percentage | `20%`, `0.5%`; or `0` |
| address | `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` |
| `${NAME}` | the environment variable NAME; an error where it is not set |
| `${NAME:-default}` | likewise, or the default where it is unset or empty |
| `${file:/run/secrets/x}` | the text of a file, without the newline at its end |
| `$${` | the two characters `${` |

These stand anywhere in a value; within `{ }` or `[ ]` such a value needs quotes: `["${NAME}"]`.
Paths are relative to the working directory. An alias (`&a`, `*a`) stands for a whole value.

## Without a file

The documents engine over ./docs (`--docs DIR`), as the model `handbook`, on 127.0.0.1:8080.

| given | means |
|---|---|
| `--engine URL` | an OpenAI-compatible engine for every other model; a URL without a path gets `/v1` |
| `OPENAI_API_KEY` | that vendor for every other model, unless `--engine` is given |
| `OPENAI_BASE_URL` | another place than `https://api.openai.com/v1` to ask with that key, as in OpenAI's SDKs |
| `PORT` | the port of the API; 0 takes free ones, for the admin listener too |
| `DATABASE_URL` | `store.url` |
| `REDIS_URL` | the one of `cache.redis.urls` |
| `ANTHROPIC_API_KEY` | not in this version: a warning |

With an engine of that kind the documents are served where ./docs exists or `--docs` is given.

## Switches in the environment

With a file or without; they win over the file, and are read again at a reload.

| given | means |
|---|---|
| `CACHING_ENABLED=false` | `features.caching: false` |
| `REDIS_CACHING_ENABLED=false` | `features.redis_caching: false` |
| `PROMETHEUS_METRICS_ENABLED=false` | `features.prometheus_metrics: false` |
| `OPENTELEMETRY_TRACING_ENABLED=false` | `features.opentelemetry_tracing: false` |
| `PERFORMANCE_OPTIMIZATION_ENABLED` | not in this version: a warning, unless it is `true` |
)";

std::string_view short_name(Type type) {
  switch (type) {
    case Type::section:
    case Type::sections:
    case Type::named: return "";
    case Type::values: return "names and texts";
    case Type::texts: return "list of texts";
    case Type::boolean: return "true or false";
    case Type::integer: return "whole number";
    case Type::number: return "number";
    case Type::size: return "size";
    case Type::duration: return "time";
    case Type::ratio: return "percentage";
    case Type::rate: return "rate";
    case Type::word: return "";
    case Type::text: return "text";
    case Type::address: return "address";
    case Type::url: return "URL";
  }
  return "";
}

std::string default_text(const Key& key) {
  const bool text = key.type == Type::text || key.type == Type::url;
  if (key.required) return "needed";
  if (text && key.standard.empty()) return "";
  return fmt::format("default `{}`", key.standard);
}

std::string facts(const Key& key) {
  std::string text;
  if (key.kinds != 0) {
    const Key& kind = *find("engines[].kind");
    for (std::size_t i = 0; i < kind.words.size(); ++i) {
      if (key.kinds != only(static_cast<EngineKind>(i))) continue;
      text += fmt::format("kind {}; ", kind.words[i].name);
    }
  }
  if (key.type == Type::section && !key.words.empty()) {
    return text + fmt::format("{}; default `{}`; ", expected(key), key.standard);
  }
  if (key.type == Type::section || key.type == Type::sections || key.type == Type::named) {
    return text;
  }
  const bool in_words = key.type == Type::word || key.form == Form::name ||
                        key.form == Form::token || key.form == Form::database;
  text += in_words ? expected(key) : std::string(short_name(key.type));
  if (!key.least.empty()) text += fmt::format(", {} to {}", key.least, key.most);
  if (!key.unit.empty()) text += fmt::format(" {}", key.unit);
  if (!key.special.empty()) text += fmt::format(", or {}", key.special);
  text += "; ";
  if (const std::string standard = default_text(key); !standard.empty()) text += standard + "; ";
  return text;
}

// One option: its facts, then its help.
void write(const Key& key, std::string& out) {
  if (key.parent().empty()) {
    out += fmt::format("\n## {}\n\n{}\n\n", key.path, key.help);
    return;
  }
  std::string text = facts(key);
  if (text.ends_with("; ")) text.replace(text.size() - 2, 2, ".");
  if (!text.empty() && !key.help.empty()) text += "\n  ";
  out += fmt::format("- `{}`: {}{}\n", key.path, text, key.help);
}

// Whether a section around the key speaks for it already.
bool said_around(const Key& key) {
  std::string_view around = key.parent();
  if (around.ends_with("[]")) around.remove_suffix(2);
  const Key* section = find(around);
  return section != nullptr && !section->later.empty();
}

}  // namespace

std::string reference() {
  std::string out(kIntroduction);
  for (const Key& key : table()) {
    if (key.later.empty()) write(key, out);
  }

  out += "\n## Not in this version\n\nNamed already, and refused until they work.\n\n";
  for (const Key& key : table()) {
    if (key.later.empty() || said_around(key)) continue;
    out += fmt::format("- `{}`: {}.\n", key.path, key.later);
    if (!key.help.empty()) out += fmt::format("  {}\n", key.help);
  }
  for (const Key& key : table()) {
    for (const Word& word : key.words) {
      if (!word.later.empty())
        out += fmt::format("- `{}: {}`: {}.\n", key.path, word.name, word.later);
    }
  }
  return out;
}

}  // namespace penstock::settings
