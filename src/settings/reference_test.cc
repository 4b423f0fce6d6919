// What is written of the settings: the reference, the schema, the settings in force.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/property_tree/json_parser.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "settings/settings.h"
#include "settings/table.h"
#include "settings/testing.h"

namespace penstock::settings {
namespace {

using testing::HasSubstr;
using testing::Not;
using Tree = boost::property_tree::ptree;

constexpr std::string_view kRich = R"(
listen: {address: "[::1]:9090", workers: 3}
admin: {address: "0.0.0.0:9091", token: canary}
engines:
  - name: gpu
    kind: openai
    url: http://gpu/v1
    api_key: canary
    headers: {x-key: canary, x-none: ""}
    query: {v: canary, w: ""}
    health: {interval: 7s}
  - {name: quiet, kind: openai, url: "http://quiet/v1", health: off}
  - {name: fake, kind: simulated, simulated: {errors: 2.5%, first_token: 1500us}}
  - {name: texts, kind: documents, path: "/srv/a \"b $${x}"}
models:
  - {name: big, engines: [gpu], upstream_name: meta/Big, aliases: [large, huge]}
  - {name: "*", engines: [fake]}
cache: {memory: {size: 2GiB, policy: lru}}
logging: {format: auto}
)";

TEST(Describe, HidesSecretsAndShowsTheRest) {
  const std::string shown = describe(**parse(kRich, "f", variables()));
  EXPECT_THAT(shown, Not(HasSubstr("canary")));
  EXPECT_THAT(shown, HasSubstr("  token: \"***\"\n"));
  EXPECT_THAT(shown, HasSubstr("    api_key: \"***\"\n"));
  EXPECT_THAT(shown, HasSubstr("    headers: {\"x-key\": \"***\", \"x-none\": \"\"}\n"));
  EXPECT_THAT(shown, HasSubstr("    query: {\"v\": \"***\", \"w\": \"\"}\n"));
  EXPECT_THAT(shown, HasSubstr("  address: \"[::1]:9090\"\n"));
  EXPECT_THAT(shown, HasSubstr("      errors: 2.5%\n"));
}

TEST(Describe, WhatItShowsMeansTheSameSettings) {
  Settings safe = **parse(kRich, "f", variables());
  safe.admin = {{"127.0.0.1", 9091}, ""};
  safe.engines[0].api_key.clear();
  safe.engines[0].headers.clear();
  safe.engines[0].query.clear();
  const auto again = parse(describe(safe), "again", variables());
  ASSERT_TRUE(again) << to_string(again.error().front());
  EXPECT_EQ(**again, safe);
}

TEST(Describe, LeavesOutWhatAnEngineOfItsKindDoesNotHave) {
  const std::string shown = describe(**parse("", "f", variables()));
  EXPECT_THAT(shown, HasSubstr("    path: \"./docs\"\n"));
  EXPECT_THAT(shown, Not(HasSubstr("    url:")));
  EXPECT_THAT(shown, Not(HasSubstr("simulated:")));
}

TEST(Reference, NamesEveryOption) {
  const std::string text = reference();
  for (const Key& key : table()) {
    // What is in a section to come is left to the section.
    if (key.later.empty() && !key.parent().empty()) {
      EXPECT_THAT(text, HasSubstr("- `" + std::string(key.path) + "`: "));
    }
  }
  EXPECT_THAT(text, HasSubstr("- `listen.http2`: HTTP/2 is still to come."));
  EXPECT_THAT(text, HasSubstr("- `breaker`: circuit breakers are still to come."));
  EXPECT_THAT(text, Not(HasSubstr("`breaker.window`")));
  EXPECT_THAT(text, HasSubstr("- `engines[].kind: anthropic`: "));
  EXPECT_THAT(text, HasSubstr("- `listen.limits.drain`: time, 0 to 1h, or none; default `30s`.\n"));
}

TEST(Reference, IsTheOneInTheDocumentation) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "docs/reference/settings.md", std::ios::binary);
  std::ostringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), reference())
      << "docs/reference/settings.md is written by `penstock settings`";
}

// The schema of the table's `path`.
const Tree* schema_of(const Tree& root, std::string_view path) {
  const Tree* at = &root;
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    std::string name(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
    const bool element = name.ends_with("[]");
    if (element) name.resize(name.size() - 2);
    const auto properties = at->find("properties");
    if (properties == at->not_found()) return nullptr;
    const auto next = properties->second.find(name);
    if (next == properties->second.not_found()) return nullptr;
    at = &next->second;
    if (element) {
      const auto items = at->find("items");
      if (items == at->not_found()) return nullptr;
      at = &items->second;
    }
  }
  return at;
}

TEST(Schema, IsJsonAndNamesEveryOption) {
  std::istringstream text(json_schema());
  Tree root;
  ASSERT_NO_THROW(boost::property_tree::read_json(text, root));
  EXPECT_EQ(root.get<std::string>("$schema"), "https://json-schema.org/draft/2020-12/schema");
  std::size_t named = 0;
  for (const Key& key : table()) {
    const Tree* schema = schema_of(root, key.path);
    const Key* around = find(key.parent());
    const bool inside_later =
        (around != nullptr && !around->later.empty()) || (schema == nullptr && !key.later.empty());
    if (inside_later) continue;  // its section refuses all
    ASSERT_NE(schema, nullptr) << key.path;
    ++named;
    EXPECT_EQ(schema->count("not"), key.later.empty() ? 0u : 1u) << key.path;
    if (key.type == Type::section && key.later.empty()) {
      EXPECT_EQ(schema->get<std::string>("additionalProperties"), "false") << key.path;
    }
    if (!key.help.empty()) {
      EXPECT_THAT(schema->get<std::string>("description"), HasSubstr(std::string(key.help)));
    }
  }
  EXPECT_GT(named, 100u);
}

TEST(Schema, SaysDefaultsWordsAndRanges) {
  std::istringstream text(json_schema());
  Tree root;
  boost::property_tree::read_json(text, root);
  const Tree& connections = *schema_of(root, "listen.limits.connections");
  EXPECT_EQ(connections.get<std::string>("default"), "50000");
  const std::string schema = json_schema();
  EXPECT_THAT(schema, HasSubstr(R"("default": 50000, "anyOf": [{"type": "integer", "minimum": 1)"));
  EXPECT_THAT(schema, HasSubstr(R"({"enum": ["safe", "all", "off"]})"));
  EXPECT_THAT(schema, HasSubstr(R"({"enum": ["documents", "openai", "simulated"]})"));
  EXPECT_THAT(schema, HasSubstr(R"("^([0-9]+(B|KiB|MiB|GiB)|0)$")"));
}

}  // namespace
}  // namespace penstock::settings
