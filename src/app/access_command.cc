#include "app/access_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "admin/words.h"
#include "app/admin_options.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"
#include "settings/values.h"

namespace penstock::app {
namespace {

constexpr std::int64_t kPage = 500;
constexpr Duration kGrace = 1h;

// What went wrong before the database was asked: an exit code, once it was said.
using Said = std::optional<int>;

struct Given {
  std::string_view option;
  const std::optional<std::string>* value;
};

std::vector<std::string> words_of_list(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

Said read_fields(const std::string& command, const FieldOptions& fields, WallTime now,
                 access::KeyChange& change) {
  Said said;
  const auto take = [&](std::string_view option, const std::optional<std::string>& text,
                        const auto& read) {
    if (!text || said) return;
    const Result<void> taken = read(*text);
    if (taken) return;
    said = bad_usage(command, fmt::format("{} takes {}, not \"{}\"", option, taken.error().detail,
                                          visible(*text)));
  };
  const std::array<Given, 5> limits = {
      Given{"--requests", &fields.requests}, Given{"--tokens", &fields.tokens},
      Given{"--inflight", &fields.inflight}, Given{"--spend-day", &fields.spend_day},
      Given{"--spend-month", &fields.spend_month}};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    take(limits[i].option, *limits[i].value, [&](const std::string& text) {
      return admin::take_limit(admin::kLimitNames[i], text, change);
    });
  }
  take("--priority", fields.priority,
       [&](const std::string& text) { return admin::take_priority(text, change); });
  take("--cache-scope", fields.cache_scope,
       [&](const std::string& text) { return admin::take_scope(text, change); });
  take("--expires", fields.expires,
       [&](const std::string& text) { return admin::take_expiry(text, now, change); });
  change.name = fields.name;
  if (fields.models) {
    change.models =
        *fields.models == "all" ? std::vector<std::string>() : words_of_list(*fields.models);
  }
  return said;
}

void print_json(const std::string& json) { fmt::print("{}\n", json); }

std::string limits_in_short(const Limits& limits) {
  std::string out;
  for (const std::string_view name : admin::kLimitNames) {
    const auto text = admin::limit_text(limits, name);
    if (text) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, *text);
  }
  return out.empty() ? "-" : out;
}

std::string models_in_short(const std::vector<std::string>& models) {
  return models.empty() ? "all" : visible(fmt::format("{}", fmt::join(models, ",")));
}

std::string key_json(const access::Key& key, WallTime now, const std::string& secret = {}) {
  std::string out;
  dialect::JsonWriter json(out);
  admin::write_key(json, key, now);
  if (!secret.empty()) {
    out.pop_back();
    out += ",\"key\":";
    dialect::write_string(out, secret);
    out += '}';
  }
  return out;
}

void print_key(const access::Key& key, WallTime now, const std::string& format) {
  if (format == "json") return print_json(key_json(key, now));
  const auto time = [](const std::optional<WallTime>& at) {
    return at ? admin::time_text(*at) : std::string("never");
  };
  fmt::print("id           {}\nname         {}\ntenant       {}\nstate        {}\n", key.id,
             visible(key.name), key.tenant, access::name_of(access::state_of(key, now)));
  fmt::print("begins with  {}\nmodels       {}\nlimits       {}\npriority     {}\n", key.prefix,
             models_in_short(key.models), limits_in_short(key.limits),
             access::name_of(key.priority));
  fmt::print("cache scope  {}\ncreated      {} by {}\nexpires      {}\n",
             key.scope ? access::name_of(*key.scope) : "the tenant's",
             admin::time_text(key.created), visible(key.created_by), time(key.expires));
  if (key.revoked) fmt::print("revoked      {}\n", time(key.revoked));
  if (key.replaced_by) {
    fmt::print("replaced by  {}, good until {}\n", *key.replaced_by, time(key.grace_until));
  }
}

int print_new(const access::NewKey& made, WallTime now, const std::string& format) {
  if (format == "json") {
    print_json(key_json(made.key, now, made.secret));
    return kGood;
  }
  fmt::print("{}\n", made.secret);
  std::fflush(stdout);
  fmt::print(stderr, "{} for {}: this is the only time that it is shown.\n", made.key.id,
             made.key.tenant);
  return kGood;
}

Said check_format(const std::string& command, const std::string& format) {
  if (format == "table" || format == "json") return std::nullopt;
  return bad_usage(command,
                   fmt::format("--format takes table or json, not \"{}\"", visible(format)));
}

// What belongs to another verb than the one that was given.
Said check_verb(const std::string& command, const std::string& verb,
                const std::vector<std::string_view>& verbs, std::string_view noun,
                const std::string& object, const std::vector<std::string_view>& without_object) {
  if (std::find(verbs.begin(), verbs.end(), verb) == verbs.end()) {
    return bad_usage(command, fmt::format("VERB cannot be \"{}\"; it can be {}", visible(verb),
                                          fmt::join(verbs, ", ")));
  }
  const bool without =
      std::find(without_object.begin(), without_object.end(), verb) != without_object.end();
  if (!without && object.empty()) return bad_usage(command, fmt::format("{} is missing", noun));
  if (without && !object.empty()) {
    return bad_usage(command, fmt::format("`{}` takes no {}", verb, noun));
  }
  return std::nullopt;
}

bool any(const FieldOptions& fields) {
  return fields.models || fields.requests || fields.tokens || fields.inflight || fields.spend_day ||
         fields.spend_month || fields.priority || fields.cache_scope || fields.expires ||
         fields.name;
}

int list_keys(const std::string& command, access::Office& office, const KeysOptions& options,
              WallTime now) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "TENANT", "NAME", "STATE", "EXPIRES", "LIMITS"}};
  std::string json = "[";
  std::string after;
  for (;;) {
    const Result<std::vector<access::Key>> page = store::wait(
        kStorePatience, [&](Deadline& d) { return office.keys(options.tenant, after, kPage, d); });
    if (!page) return store_failed(command, page.error());
    for (const access::Key& key : *page) {
      json += (json.size() > 1 ? ",\n" : "") + key_json(key, now);
      const auto end = access::end_of(key);
      rows.push_back({key.id, key.tenant, visible(key.name),
                      std::string(access::name_of(access::state_of(key, now))),
                      end ? admin::time_text(*end) : "never", limits_in_short(key.limits)});
    }
    if (page->size() < static_cast<std::size_t>(kPage)) break;
    after = page->back().id;
  }
  if (options.format == "json") {
    print_json(json + "]");
  } else {
    std::sort(rows.begin() + 1, rows.end(), [](const auto& a, const auto& b) {
      return std::tie(a[1], a[2], a[0]) < std::tie(b[1], b[2], b[0]);
    });
    fmt::print("{}", table_text(rows));
  }
  return kGood;
}

int list_tenants(const std::string& command, access::Office& office,
                 const TenantsOptions& options) {
  std::vector<std::vector<std::string>> rows = {{"TENANT", "MODELS", "CACHE SCOPE", "LIMITS"}};
  std::string out = "[";
  std::string after;
  for (;;) {
    const Result<std::vector<access::Tenant>> page =
        store::wait(kStorePatience, [&](Deadline& d) { return office.tenants(after, kPage, d); });
    if (!page) return store_failed(command, page.error());
    for (const access::Tenant& tenant : *page) {
      if (out.size() > 1) out += ",\n";
      std::string one;
      dialect::JsonWriter json(one);
      admin::write_tenant(json, tenant);
      out += one;
      rows.push_back({tenant.name, models_in_short(tenant.models),
                      tenant.scope ? std::string(access::name_of(*tenant.scope)) : "as configured",
                      limits_in_short(tenant.limits)});
    }
    if (page->size() < static_cast<std::size_t>(kPage)) break;
    after = page->back().name;
  }
  if (options.format == "json") {
    print_json(out + "]");
  } else {
    fmt::print("{}", table_text(rows));
  }
  return kGood;
}

void add_field_options(CLI::App& app, FieldOptions& fields) {
  const auto one = [&](const char* option, std::optional<std::string>& to, const char* type,
                       const char* about) {
    app.add_option_function<std::string>(
           option, [&to](const std::string& text) { to = text; }, about)
        ->type_name(type);
  };
  one("--models", fields.models, "A,B", "The models that may be asked; `all` for all");
  one("--requests", fields.requests, "RATE",
      "Requests, as 100/m; of every limit `none` is no limit, `default` takes it back");
  one("--tokens", fields.tokens, "RATE", "Tokens, as 10000/m");
  one("--inflight", fields.inflight, "N", "Requests at a time");
  one("--spend-day", fields.spend_day, "AMOUNT", "What may be spent on a day of UTC");
  one("--spend-month", fields.spend_month, "AMOUNT", "What may be spent in a month of UTC");
  one("--cache-scope", fields.cache_scope, "SCOPE",
      "Who shares kept answers: key, tenant or shared; `default` takes it back");
}

}  // namespace

void add_keys_options(CLI::App& app, KeysOptions& options) {
  app.footer(
      "Verbs:\n"
      "  create     makes a key of --tenant and --name, and prints it, this once\n"
      "  list       all keys, or those of --tenant\n"
      "  show ID    what is known of a key\n"
      "  update ID  changes the fields that are given\n"
      "  rotate ID  makes a key in its place and prints it; the old one is good for --grace yet\n"
      "  revoke ID  takes it back: within a second no node knows it any more\n"
      "\n"
      "Examples:\n"
      "  penstock keys create --tenant acme --name ci --requests 100/m --spend-day 1\n"
      "  penstock keys list --tenant acme\n"
      "  penstock keys rotate key_abc --grace 24h\n");
  app.add_option("VERB", options.verb, "What to do")->required();
  app.add_option("ID", options.id, "The id of the key");
  app.add_option("--tenant", options.tenant, "Of `create` and `list`: whose")->type_name("NAME");
  app.add_option_function<std::string>(
         "--name", [&options](const std::string& text) { options.fields.name = text; },
         "What its owner calls it")
      ->type_name("TEXT");
  add_field_options(app, options.fields);
  app.add_option_function<std::string>(
         "--priority", [&options](const std::string& text) { options.fields.priority = text; },
         "Who goes first where there is not enough: interactive or batch")
      ->type_name("WORD");
  app.add_option_function<std::string>(
         "--expires", [&options](const std::string& text) { options.fields.expires = text; },
         "When it ends: 30d from now, a day such as 2027-01-31, or never")
      ->type_name("TIME");
  app.add_option_function<std::string>(
         "--grace", [&options](const std::string& text) { options.grace = text; },
         "Of `rotate`: how long the old key is good yet")
      ->type_name("TIME")
      ->default_str("1h");
  add_format_option(app, options.format);
  add_store_options(app, options.where);
}

int keys_command(const KeysOptions& options) {
  const std::string command = "penstock keys";
  const WallTime now = std::chrono::system_clock::now();
  const std::string& verb = options.verb;
  const bool changes = verb == "create" || verb == "update";
  if (Said said =
          check_verb(command, verb, {"create", "list", "show", "update", "rotate", "revoke"}, "ID",
                     options.id, {"create", "list"})) {
    return *said;
  }
  if (Said said = check_format(command, options.format)) return *said;
  if (any(options.fields) && !changes) {
    return bad_usage(command, fmt::format("`{}` changes no fields", verb));
  }
  if (!options.tenant.empty() && verb != "create" && verb != "list") {
    return bad_usage(command, "--tenant is for `create` and `list`: a key stays its tenant's");
  }
  if (options.grace && verb != "rotate") return bad_usage(command, "--grace is for `rotate`");
  if (verb == "create" && options.tenant.empty()) return bad_usage(command, "--tenant is missing");
  if (verb == "create" && !options.fields.name) return bad_usage(command, "--name is missing");
  if (verb == "update" && !any(options.fields)) {
    return bad_usage(command, "there is nothing to change");
  }
  Duration grace = kGrace;
  if (options.grace) {
    const auto given = settings::parse_duration(*options.grace);
    if (!given) {
      return bad_usage(command, fmt::format("--grace takes a time such as 1h, not \"{}\"",
                                            visible(*options.grace)));
    }
    grace = *given;
  }
  access::KeyChange change;
  if (Said said = read_fields(command, options.fields, now, change)) return *said;

  int code = kFailed;
  const auto opened = OpenStore::open(command, options.where, Tables::bring, code);
  if (opened == nullptr) return code;
  const auto office = opened->office(command);
  if (office == nullptr) return kFailed;
  const access::Actor actor = command_actor();
  const auto ask = [&](const auto& what) { return store::wait(kStorePatience, what); };
  if (verb == "list") return list_keys(command, *office, options, now);
  if (verb == "create" || verb == "rotate") {
    const Result<access::NewKey> made = ask([&](Deadline& d) {
      return verb == "create" ? office->create_key(options.tenant, change, actor, now, d)
                              : office->rotate_key(options.id, grace, actor, now, d);
    });
    if (made) return print_new(*made, now, options.format);
    Error error = made.error();
    if (verb == "create" && error.kind == Kind::not_found) {
      error.detail += "; `penstock tenants create " + options.tenant + "` makes one";
    }
    return store_failed(command, error);
  }
  const Result<access::Key> key = ask([&](Deadline& d) {
    return verb == "show"     ? office->key(options.id, d)
           : verb == "update" ? office->update_key(options.id, change, actor, now, d)
                              : office->revoke_key(options.id, actor, now, d);
  });
  if (!key) return store_failed(command, key.error());
  print_key(*key, now, options.format);
  return kGood;
}

void add_tenants_options(CLI::App& app, TenantsOptions& options) {
  app.footer(
      "Verbs:\n"
      "  create NAME  makes a tenant: what its keys may use together, and which models\n"
      "  list         all of the database; the configuration's stand in its file\n"
      "  show NAME    what is known of a tenant\n"
      "  update NAME  changes the fields that are given\n"
      "  delete NAME  takes it back, and revokes all its keys\n"
      "\n"
      "Examples:\n"
      "  penstock tenants create acme --requests 600/m --spend-month 100 --models handbook\n"
      "  penstock tenants update acme --spend-month default\n");
  app.add_option("VERB", options.verb, "What to do")->required();
  app.add_option("NAME", options.name, "The tenant");
  add_field_options(app, options.fields);
  add_format_option(app, options.format);
  add_store_options(app, options.where);
}

int tenants_command(const TenantsOptions& options) {
  const std::string command = "penstock tenants";
  const WallTime now = std::chrono::system_clock::now();
  const std::string& verb = options.verb;
  if (Said said = check_verb(command, verb, {"create", "list", "show", "update", "delete"}, "NAME",
                             options.name, {"list"})) {
    return *said;
  }
  if (Said said = check_format(command, options.format)) return *said;
  if (any(options.fields) && verb != "create" && verb != "update") {
    return bad_usage(command, fmt::format("`{}` changes no fields", verb));
  }
  if (verb == "update" && !any(options.fields)) {
    return bad_usage(command, "there is nothing to change");
  }
  access::KeyChange change;
  if (Said said = read_fields(command, options.fields, now, change)) return *said;

  int code = kFailed;
  const auto opened = OpenStore::open(command, options.where, Tables::bring, code);
  if (opened == nullptr) return code;
  const auto office = opened->office(command);
  if (office == nullptr) return kFailed;
  if (verb == "list") return list_tenants(command, *office, options);
  const access::Actor actor = command_actor();
  const Result<access::Tenant> tenant = store::wait(kStorePatience, [&](Deadline& d) {
    return verb == "create"   ? office->create_tenant(options.name, change, actor, now, d)
           : verb == "show"   ? office->tenant(options.name, d)
           : verb == "update" ? office->update_tenant(options.name, change, actor, now, d)
                              : office->delete_tenant(options.name, actor, now, d);
  });
  if (!tenant) return store_failed(command, tenant.error());
  if (options.format == "json") {
    std::string out;
    dialect::JsonWriter json(out);
    admin::write_tenant(json, *tenant);
    print_json(out);
    return kGood;
  }
  fmt::print("tenant       {}\nmodels       {}\nlimits       {}\ncache scope  {}\n", tenant->name,
             models_in_short(tenant->models), limits_in_short(tenant->limits),
             tenant->scope ? access::name_of(*tenant->scope) : "as configured");
  if (verb == "delete") fmt::print("It is deleted, and its keys are revoked.\n");
  return kGood;
}

int migrate_command(const StoreChoice& where) {
  const std::string command = "penstock migrate";
  int code = kFailed;
  const auto opened = OpenStore::open(command, where, Tables::leave, code);
  if (opened == nullptr) return code;
  store::Database& database = opened->database();
  const Result<int> applied =
      store::wait(60s, [&](Deadline& d) { return store::migrate(database, d); });
  if (!applied) return store_failed(command, applied.error());
  fmt::print("{}: {}\n", database.name(),
             *applied == 0 ? "its tables are up to date"
                           : fmt::format("{} step{} applied", *applied, *applied == 1 ? "" : "s"));
  return kGood;
}

}  // namespace penstock::app
