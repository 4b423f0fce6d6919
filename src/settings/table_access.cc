// The table, fifth part: who may ask, how much, and what is kept of it.
#include <deque>

#include "settings/table.h"

namespace penstock::settings {
namespace {

// The five of one owner, in the section `where` of an Object; `Of` finds its Quotas.
template <class Object, class Of>
std::vector<Key> quota_keys(std::string_view where, Of) {
  static std::deque<std::string> paths;  // what the keys view
  const auto path = [&](std::string_view leaf) -> std::string_view {
    return paths.emplace_back(std::string(where) + "." + std::string(leaf));
  };
  return {
      {.path = path("requests"),
       .type = Type::rate,
       .standard = "none",
       .special = "none",
       .help = "600/m lets 600 through at once, then one each 100 ms.",
       .field = at<Object>([](auto& o) { return &Of{}(o).requests; })},
      {.path = path("tokens"),
       .type = Type::rate,
       .standard = "none",
       .special = "none",
       .help = "Of questions and answers. What a call may need is taken ahead, and what it did not "
               "need is given back.",
       .field = at<Object>([](auto& o) { return &Of{}(o).tokens; })},
      {.path = path("inflight"),
       .type = Type::integer,
       .standard = "none",
       .special = "none",
       .unit = "requests",
       .help = "At a time.",
       .field = at<Object>([](auto& o) { return &Of{}(o).inflight; })},
      {.path = path("spend"), .help = "In the currency of the prices."},
      {.path = path("spend.day"),
       .type = Type::number,
       .standard = "none",
       .least = "0",
       .most = "1000000000",
       .special = "none",
       .help = "From midnight to midnight, UTC.",
       .field = at<Object>([](auto& o) { return &Of{}(o).spend.day; })},
      {.path = path("spend.month"),
       .type = Type::number,
       .standard = "none",
       .least = "0",
       .most = "1000000000",
       .special = "none",
       .help = "A calendar month, UTC.",
       .field = at<Object>([](auto& o) { return &Of{}(o).spend.month; })},
  };
}

std::vector<Key> auth_part() {
  return {
      {.path = "auth", .help = "Who may ask."},
      {.path = "auth.mode",
       .type = Type::word,
       .standard = "none",
       .words = {{"none"}, {"keys"}, {"jwt"}},
       .help = "none: whoever reaches the address. keys: who has a key that `penstock keys create` "
               "made. jwt: who has a token of the identity provider.",
       .field = at<Settings>([](auto& s) { return &s.auth.mode; })},
      {.path = "auth.allow_anonymous",
       .type = Type::boolean,
       .standard = "false",
       .help = "Allows `mode: none` on an address that is not loopback: anyone who reaches it may "
               "ask.",
       .field = at<Settings>([](auto& s) { return &s.auth.allow_anonymous; })},
      {.path = "auth.jwt",
       .help = "The identity provider; its tokens are signed with RS256, ES256 or EdDSA."},
      {.path = "auth.jwt.issuer",
       .type = Type::text,
       .form = Form::token,
       .help = "What `iss` must be; needed for `mode: jwt`.",
       .field = at<Settings>([](auto& s) { return &s.auth.jwt.issuer; })},
      {.path = "auth.jwt.audience",
       .type = Type::text,
       .form = Form::token,
       .help = "What `aud` must be or have among others; needed for `mode: jwt`.",
       .field = at<Settings>([](auto& s) { return &s.auth.jwt.audience; })},
      {.path = "auth.jwt.jwks_url",
       .type = Type::url,
       .help = "Where its public keys are; needed for `mode: jwt`. https, or http on loopback.",
       .field = at<Settings>([](auto& s) { return &s.auth.jwt.jwks_url; })},
      {.path = "auth.jwt.tenant_claim",
       .type = Type::text,
       .standard = "tenant",
       .form = Form::token,
       .help = "The claim that names the tenant; `a.b` is b within a.",
       .field = at<Settings>([](auto& s) { return &s.auth.jwt.tenant_claim; })},

      {.path = "tenants",
       .type = Type::sections,
       .standard = "[]",
       .help = "Those who share the gateway and must not see each other. `penstock tenants` makes "
               "them without this file; what stands here wins.",
       .add = [](void* s, std::string_view) -> void* {
         return &static_cast<Settings*>(s)->tenants.emplace_back();
       }},
      {.path = "tenants[].name",
       .type = Type::text,
       .form = Form::name,
       .required = true,
       .help = "What keys and tokens call it.",
       .field = at<Tenant>([](auto& t) { return &t.name; })},
      {.path = "tenants[].limits", .help = "Of all its keys together."},
  };
}

std::vector<Key> tenant_part() {
  return {
      {.path = "tenants[].cache", .help = "As `cache`, for this tenant."},
      {.path = "tenants[].cache.scope",
       .type = Type::word,
       .standard = "inherit",
       .special = "inherit",
       .words = {{"key"}, {"tenant"}, {"shared"}},
       .help = "As `cache.scope`, which it has where this is not set.",
       .field = at<Tenant>([](auto& t) { return &t.cache.scope; })},
      {.path = "tenants[].models",
       .type = Type::texts,
       .standard = "[]",
       .form = Form::model,
       .help = "The models it may ask; all where none is named.",
       .field = at<Tenant>([](auto& t) { return &t.models; })},

      {.path = "limits",
       .help =
           "How much may be used. These are of each caller by itself, where neither its key nor "
           "its tenant decides."},
  };
}

std::vector<Key> limit_part() {
  return {
      {.path = "limits.models",
       .type = Type::named,
       .standard = "{}",
       .form = Form::model,
       .help = "The same, by model: of all who ask it together.",
       .add = [](void* s, std::string_view name) -> void* {
         NamedQuotas& added = static_cast<Settings*>(s)->limits.models.emplace_back();
         added.name = name;
         return &added;
       }},
  };
}

std::vector<Key> store_part() {
  return {
      {.path = "limits.shared",
       .type = Type::word,
       .standard = "auto",
       .words = {{"auto"}, {"redis"}, {"local"}},
       .help = "Whether nodes count together. auto: by Redis where cache.redis.urls is set, else "
               "each for itself; without Redis each node enforces its share.",
       .field = at<Settings>([](auto& s) { return &s.limits.shared; })},

      {.path = "store", .help = "Where usage, keys and changes are kept."},
      {.path = "store.url",
       .type = Type::text,
       .standard = "sqlite:./penstock.db",
       .form = Form::database,
       .secret = true,
       .help = "sqlite:PATH, or postgresql://user@host/db with libpq's parameters.",
       .field = at<Settings>([](auto& s) { return &s.store.url; })},
      {.path = "store.replicas",
       .type = Type::texts,
       .standard = "[]",
       .form = Form::database,
       .secret = true,
       .help = "Read-only URLs; a replica that lags more than max_lag is left out.",
       .field = at<Settings>([](auto& s) { return &s.store.replicas; })},
      {.path = "store.max_lag",
       .type = Type::duration,
       .standard = "2s",
       .least = "1ms",
       .most = "1h",
       .help = "How far a replica may be behind.",
       .field = at<Settings>([](auto& s) { return &s.store.max_lag; })},
      {.path = "store.pool", .help = "Connections to the database."},
      {.path = "store.pool.max",
       .type = Type::integer,
       .standard = "auto",
       .least = "1",
       .most = "10000",
       .special = "auto",
       .unit = "connections",
       .help = "Of this node; `auto` is its share of the total.",
       .field = at<Settings>([](auto& s) { return &s.store.pool.max; })},
      {.path = "store.pool.total",
       .type = Type::integer,
       .standard = "48",
       .least = "1",
       .most = "10000",
       .unit = "connections",
       .help = "Over all live nodes, replicas included; each node takes its share.",
       .field = at<Settings>([](auto& s) { return &s.store.pool.total; })},
      {.path = "store.pool.idle",
       .type = Type::duration,
       .standard = "60s",
       .least = "1s",
       .most = "1d",
       .help = "How long an unused one is kept.",
       .field = at<Settings>([](auto& s) { return &s.store.pool.idle; })},
      {.path = "store.pool.acquire_timeout",
       .type = Type::duration,
       .standard = "1s",
       .least = "1ms",
       .most = "1m",
       .help = "How long work waits for one.",
       .field = at<Settings>([](auto& s) { return &s.store.pool.acquire_timeout; })},
      {.path = "store.usage", .help = "The ledger of calls."},
      {.path = "store.usage.queue",
       .type = Type::integer,
       .standard = "100000",
       .least = "1000",
       .most = "10000000",
       .unit = "rows",
       .help = "What waits in the spool while the database is away; what comes after that is "
               "dropped and counted.",
       .field = at<Settings>([](auto& s) { return &s.store.usage.queue; })},
      {.path = "store.usage.flush",
       .type = Type::duration,
       .standard = "200ms",
       .least = "10ms",
       .most = "1m",
       .help = "From the spool to the database.",
       .field = at<Settings>([](auto& s) { return &s.store.usage.flush; })},
      {.path = "store.usage.keep",
       .type = Type::duration,
       .standard = "95d",
       .least = "1d",
       .most = "36500d",
       .help = "Then a row is dropped; daily sums stay.",
       .field = at<Settings>([](auto& s) { return &s.store.usage.keep; })},
      {.path = "store.usage.record_text",
       .type = Type::word,
       .standard = "none",
       .words = {{"none"}, {"hashed"}, {"full"}},
       .help = "Whether a row has the question: not, as a digest, or as it was sent.",
       .field = at<Settings>([](auto& s) { return &s.store.usage.record_text; })},
  };
}

}  // namespace

std::vector<Key> access_keys() {
  std::vector<Key> keys;
  const auto add = [&](std::vector<Key> part) {
    keys.insert(keys.end(), part.begin(), part.end());
  };
  add(auth_part());
  add(quota_keys<Tenant>(
      "tenants[].limits", [](auto& t) -> auto& { return t.limits; }));
  add(tenant_part());
  add(quota_keys<Settings>(
      "limits", [](auto& s) -> auto& { return s.limits.standard; }));
  add({{.path = "limits.global", .help = "Of all together."}});
  add(quota_keys<Settings>(
      "limits.global", [](auto& s) -> auto& { return s.limits.global; }));
  add(limit_part());
  add(quota_keys<NamedQuotas>(
      "limits.models[]", [](auto& n) -> auto& { return n.limits; }));
  add(store_part());
  return keys;
}

}  // namespace penstock::settings
