// `penstock cache`: what a running gateway keeps, shown and changed through its admin listener.
#pragma once

#include <optional>
#include <string>

#include "app/admin_options.h"

namespace penstock::app {

struct CacheOptions : AdminChoice {
  std::string verb;
  std::string file;  // of `warm`, where "-" is standard input, and of `semantic`
  std::string format = "table";
  // Of what is listed or purged.
  std::optional<std::string> tag, model, tenant, key, entry;
  bool all = false;
  std::string limit = "100";                  // of `list`
  bool redis = false;                         // of `on` and `off`: the level in Redis alone
  std::string concurrency = "4", rate = "0";  // of `warm`
  bool stop = false;                          // likewise
  std::string url = "http://127.0.0.1:8080";  // of `semantic`: the gateway itself
  std::string api_key;                        // likewise; empty: none is sent
};

// 1 where the gateway cannot be reached or refuses, or other nodes could not be told of a purge; 2
// where an option means nothing.
int cache_command(const CacheOptions& options);
void add_cache_options(CLI::App& app, CacheOptions& options);

// warm_command.cc: 1 where not every question is answered and kept.
class Client;
int warm_cache(Client& client, const CacheOptions& options);
int stop_warming(Client& client);

// semantic_command.cc; the client of the gateway itself.
int report_semantic_pairs(Client& client, const CacheOptions& options);

}  // namespace penstock::app
