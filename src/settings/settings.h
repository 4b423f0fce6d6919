// What the operator decided: every option that exists in this version, with units in its type.
//
// Settings are parsed whole or not at all, never change afterwards, and are shared by pointer; a
// reload is another `load_file`. Names and nesting follow the file, which the reference
// (docs/reference/settings.md) describes; table.h is where an option is declared.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::settings {

// A number of bytes.
struct Bytes {
  std::uint64_t count = 0;
  friend auto operator<=>(const Bytes&, const Bytes&) = default;
};

inline constexpr Bytes kib(std::uint64_t count) { return {count << 10}; }
inline constexpr Bytes mib(std::uint64_t count) { return {count << 20}; }

// So many in so long: 600/m is {600, 1min}.
struct Rate {
  std::uint32_t count = 0;
  Duration per{};
  friend bool operator==(const Rate&, const Rate&) = default;
};

// Where to listen. `host` is an IPv4 or IPv6 address without brackets; port 0 takes a free one.
struct Address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  bool loopback() const;  // 127.0.0.0/8 or ::1
  friend bool operator==(const Address&, const Address&) = default;
};
std::string to_string(const Address& address);  // "127.0.0.1:8080", "[::1]:8080"

struct NamedValue {
  std::string name;
  std::string value;
  friend bool operator==(const NamedValue&, const NamedValue&) = default;
};

struct Listen {
  Address address{"127.0.0.1", 8080};
  std::optional<std::uint32_t> workers;  // none: one a core of the cgroup's quota
  struct Cors {
    std::vector<std::string> origins;  // as browsers write them; "*" is every one
    friend bool operator==(const Cors&, const Cors&) = default;
  } cors;
  struct Limits {
    std::uint32_t connections = 50000;
    Bytes header_bytes = kib(32);
    std::uint32_t headers = 100;
    Bytes body_bytes = mib(32);
    Duration first_header = 10s;
    Duration body = 30s;
    Duration write_stall = 30s;
    Duration idle = 5min;
    Duration drain = 30s;
    Duration drain_delay = 5s;
    friend bool operator==(const Limits&, const Limits&) = default;
  } limits;
  struct Compression {
    std::vector<std::string> encodings = {"zstd", "br", "gzip"};  // by preference; none: off
    Bytes min_bytes = kib(1);
    friend bool operator==(const Compression&, const Compression&) = default;
  } compression;
  friend bool operator==(const Listen&, const Listen&) = default;
};

struct Admin {
  Address address{"127.0.0.1", 8081};
  std::string token;  // empty: none is asked for, and the address is loopback
  bool profiling = true;
  friend bool operator==(const Admin&, const Admin&) = default;
};

enum class EngineKind : std::uint8_t { documents, openai, simulated };
enum class EngineAuth : std::uint8_t { bearer, api_key, none };

struct EngineSettings {
  std::string name;
  EngineKind kind = EngineKind::documents;

  std::string path;  // documents: the folder

  // openai: http or https with a host and no query, without the last "/":
  // "https://gpu-a.example:8000/v1".
  std::string url;
  std::string api_key;  // empty: no credential is sent
  EngineAuth auth = EngineAuth::bearer;
  std::vector<NamedValue> headers;  // names in lower case
  std::vector<NamedValue> query;    // not yet percent-encoded
  struct Tls {
    std::string ca;  // a file of certificates; empty: the system's
    friend bool operator==(const Tls&, const Tls&) = default;
  } tls;
  struct Connections {
    std::uint32_t max = 256;  // over all workers
    Duration idle = 60s;
    Duration connect_timeout = 2s;
    friend bool operator==(const Connections&, const Connections&) = default;
  } connections;

  enum class Checks : std::uint8_t { automatic, off };
  struct Health {
    Checks checks = Checks::automatic;
    std::string path;  // from the origin on; empty: it is found out what the engine has
    Duration interval = 5s;
    Duration timeout = 1s;
    std::uint32_t healthy_after = 2;  // answers in a row
    std::uint32_t unhealthy_after = 3;
    friend bool operator==(const Health&, const Health&) = default;
  } health;

  struct Timeout {
    Duration first_token = 120s;    // streams only
    Duration between_tokens = 60s;  // streams only
    Duration total = 10min;
    friend bool operator==(const Timeout&, const Timeout&) = default;
  } timeout;

  struct Price {  // of a million tokens, in the currency that is accounted in
    double input = 0;
    double output = 0;
    friend bool operator==(const Price&, const Price&) = default;
  } price;

  struct Simulated {
    std::uint64_t seed = 1;
    Duration first_token = 200ms;    // the median of a log-normal distribution
    double first_token_sigma = 0.4;  // of its logarithm
    double tokens_per_second = 50;
    std::uint32_t tokens = 200;  // the mean length of an answer
    double errors = 0;           // shares of all calls, 0 to 1
    double stalls = 0;
    double disconnects = 0;
    double rate_limited = 0;
    std::uint32_t slots = 64;   // answers under way at once
    std::uint32_t queue = 256;  // questions that wait for a slot; more get a 429
    friend bool operator==(const Simulated&, const Simulated&) = default;
  } simulated;
  friend bool operator==(const EngineSettings&, const EngineSettings&) = default;
};

enum class CacheAnswers : std::uint8_t { safe, all, off };

struct ModelSettings {
  std::string name;                  // "*": every name that no other model has
  std::vector<std::string> engines;  // exactly one in this version: the name of an engine
  std::string upstream_name;         // what the engine calls it; empty: the same
  std::vector<std::string> aliases;
  struct OwnCache {
    std::optional<Duration> ttl;          // none: cache.ttl.default
    std::optional<CacheAnswers> answers;  // none: cache.answers
    friend bool operator==(const OwnCache&, const OwnCache&) = default;
  } cache = {};
  friend bool operator==(const ModelSettings&, const ModelSettings&) = default;
};

// The rollback switches.
struct Features {
  bool caching = true;             // every level
  bool redis_caching = true;       // what the cache reads and writes there
  bool prometheus_metrics = true;  // exposition, histograms, exemplars; counters stay
  bool opentelemetry_tracing = true;
  friend bool operator==(const Features&, const Features&) = default;
};

// When calls that fail make an engine suspect.
struct Ejection {
  std::uint32_t consecutive = 5;
  friend bool operator==(const Ejection&, const Ejection&) = default;
};

enum class Scope : std::uint8_t { key, tenant, shared };  // whose answers may be given to whom
enum class CachePolicy : std::uint8_t { lru, s3fifo };

struct Cache {
  CacheAnswers answers = CacheAnswers::safe;
  struct Memory {
    Bytes size = mib(256);  // over all workers
    CachePolicy policy = CachePolicy::s3fifo;
    Bytes max_entry = mib(4);
    friend bool operator==(const Memory&, const Memory&) = default;
  } memory;
  struct Ttl {
    Duration standard = 1h;  // `ttl.default` in the file
    double jitter = 0.1;     // a share of it, 0 to 1
    Duration negative{};     // of an engine's refusals of a question
    friend bool operator==(const Ttl&, const Ttl&) = default;
  } ttl;
  struct Stale {  // how long past their time answers are given
    Duration while_revalidate = 1min;
    Duration if_error = 1h;
    friend bool operator==(const Stale&, const Stale&) = default;
  } stale;
  double early_refresh = 1;  // XFetch's beta; 0: off
  bool coalesce = true;
  Scope scope = Scope::tenant;
  struct Redis {                    // shared by nodes: answers, limits, changes of keys
    std::vector<std::string> urls;  // several: a cluster, or the sentinels
    std::string sentinel;           // the service's name; empty: there are none
    std::string username;
    std::string password;
    std::string ca;
    std::uint32_t connections = 2;  // a worker
    Duration timeout = 50ms;        // of all that one request waits for
    bool tracking = true;           // other nodes' changes reach this node's memory
    Bytes compress_over = kib(1);
    friend bool operator==(const Redis&, const Redis&) = default;
  } redis;
  struct Warm {  // questions that are answered ahead
    std::string file;
    std::uint32_t popular = 0;  // so many of what was asked most
    std::uint32_t concurrency = 4;
    friend bool operator==(const Warm&, const Warm&) = default;
  } warm;
  struct Semantic {  // answers to questions that mean the same
    bool enabled = false;
    std::string embedding_model;   // a configured one's name or alias
    double threshold = 0.95;       // the least cosine
    std::uint32_t size = 100'000;  // vectors, of all tenants
    std::uint32_t max_turns = 1;   // of the user, in a conversation that is looked at
    std::string path;              // a folder; empty: nothing outlives the program
    friend bool operator==(const Semantic&, const Semantic&) = default;
  } semantic;
  friend bool operator==(const Cache&, const Cache&) = default;
};

enum class AuthMode : std::uint8_t { none, keys, jwt };

struct Auth {
  AuthMode mode = AuthMode::none;
  bool allow_anonymous = false;
  struct Jwt {
    std::string issuer;
    std::string audience;
    std::string jwks_url;
    std::string tenant_claim = "tenant";
    friend bool operator==(const Jwt&, const Jwt&) = default;
  } jwt;
  friend bool operator==(const Auth&, const Auth&) = default;
};

// What may be used; what is not set is not limited.
struct Quotas {
  std::optional<Rate> requests;
  std::optional<Rate> tokens;
  std::optional<std::uint32_t> inflight;
  struct Spend {  // in the currency of the prices
    std::optional<double> day;
    std::optional<double> month;
    friend bool operator==(const Spend&, const Spend&) = default;
  } spend;
  friend bool operator==(const Quotas&, const Quotas&) = default;
};

struct Tenant {
  std::string name;
  Quotas limits;  // of all its callers together
  struct OwnCache {
    std::optional<Scope> scope;  // none: cache.scope
    friend bool operator==(const OwnCache&, const OwnCache&) = default;
  } cache;
  std::vector<std::string> models;  // those it may ask; empty: all
  friend bool operator==(const Tenant&, const Tenant&) = default;
};

enum class LimitsShared : std::uint8_t { automatic, redis, local };

struct NamedQuotas {
  std::string name;
  Quotas limits;
  friend bool operator==(const NamedQuotas&, const NamedQuotas&) = default;
};

struct Limits {
  Quotas standard;  // of each caller for which neither its key nor its tenant decides
  Quotas global;    // of all together
  std::vector<NamedQuotas> models;  // of all who ask a model together
  LimitsShared shared = LimitsShared::automatic;
  friend bool operator==(const Limits&, const Limits&) = default;
};

enum class RecordText : std::uint8_t { none, hashed, full };

struct Store {
  std::string url = "sqlite:./penstock.db";
  std::vector<std::string> replicas;
  Duration max_lag = 2s;
  struct Pool {
    std::optional<std::uint32_t> max;  // none: all of the node's share
    std::uint32_t total = 48;          // over all live nodes
    Duration idle = 60s;
    Duration acquire_timeout = 1s;
    friend bool operator==(const Pool&, const Pool&) = default;
  } pool;
  struct Usage {
    std::uint32_t queue = 100000;
    Duration flush = 200ms;
    Duration keep = 24h * 95;
    RecordText record_text = RecordText::none;
    friend bool operator==(const Usage&, const Usage&) = default;
  } usage;
  friend bool operator==(const Store&, const Store&) = default;
};

struct Metrics {
  std::string path = "/metrics";
  bool exemplars = true;
  std::uint32_t max_label_values = 200;  // of one label
  std::vector<std::string> tenants;      // that have series of their own
  bool gen_ai = false;                   // by OTEL_SEMCONV_STABILITY_OPT_IN alone (otel.h)
  friend bool operator==(const Metrics&, const Metrics&) = default;
};

// Whose trace a request is part of that says whose it is.
enum class TraceIncoming : std::uint8_t { parent, link, ignore };

struct Tracing {
  std::string endpoint;          // the whole URL that spans are posted to; empty: nowhere
  std::optional<double> sample;  // a share of the traces that begin here; none: all up to 10/s
  Duration slow = 10s;           // requests that take so long are kept whatever is sampled
  TraceIncoming incoming = TraceIncoming::parent;
  std::uint32_t ring = 1000;  // the last requests, to look at
  bool record_text = false;   // questions and answers are exported
  // By OpenTelemetry's variables alone (otel.h).
  struct Otlp {
    std::vector<NamedValue> headers;
    std::string ca;              // a file of certificates; empty: the system's
    Duration timeout = 10s;      // of one batch
    std::uint32_t queue = 2048;  // requests that wait to be sent
    std::uint32_t batch = 512;   // requests
    Duration delay = 1s;
    std::string service = "penstock";
    std::vector<NamedValue> resource;  // attributes of this process
    friend bool operator==(const Otlp&, const Otlp&) = default;
  } otlp;
  bool propagate = true;      // traceparent is read and sent
  bool follow_parent = true;  // what the caller has decided is done
  friend bool operator==(const Tracing&, const Tracing&) = default;
};

enum class LogLevel : std::uint8_t { debug, info, warn, error };
enum class LogFormat : std::uint8_t { automatic, text, json };
enum class AccessLog : std::uint8_t { none, errors, all };

struct Logging {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::automatic;  // text on a terminal, JSON elsewhere
  AccessLog access = AccessLog::errors;
  friend bool operator==(const Logging&, const Logging&) = default;
};

// What a performance budget is of: times of requests, shares of them, or how full something is.
enum class BudgetOf : std::uint8_t {
  response,
  first_token,
  overhead,
  errors,
  cache,
  throughput,
  cpu,
  memory,
  database_connections,
};
enum class BudgetAlert : std::uint8_t { none, ticket, page };

struct Budget {
  std::string name;
  std::optional<BudgetOf> of;   // there is one, once parsed
  std::string below;            // as it is written; limit_of() reads it (budgets.h)
  std::optional<double> share;  // `for`: of the requests, or of the minutes, that must be below
  std::optional<double> requests_per_second;
  std::optional<double> hit_ratio;
  std::vector<std::string> in;  // "load", "live"
  BudgetAlert alert = BudgetAlert::none;
  bool live() const;
  friend bool operator==(const Budget&, const Budget&) = default;
};

// What the program may take.
struct Memory {
  std::optional<Bytes> limit;  // none: the cgroup's, or the machine's
  friend bool operator==(const Memory&, const Memory&) = default;
};

struct Settings {
  Listen listen;
  Admin admin;
  Features features;
  std::vector<EngineSettings> engines;  // at least one, once parsed; names are unique
  std::vector<ModelSettings> models;    // at least one, once parsed; "*" at most once
  Ejection ejection;
  Memory memory;
  std::string secret;  // empty: the store keeps one that it made up
  Cache cache;
  Auth auth;
  std::vector<Tenant> tenants;  // names are unique
  Limits limits;
  Store store;
  Metrics metrics;
  Tracing tracing;
  Logging logging;
  std::vector<Budget> budgets;  // names are unique
  friend bool operator==(const Settings&, const Settings&) = default;
};

// One thing wrong with a file. `line` and `column` count from 1, columns in characters; both are
// 0 where the fault is not in a file (`file` then says where: a variable, a command-line option).
struct Problem {
  std::string file;
  std::size_t line = 0;
  std::size_t column = 0;
  std::string path;      // "engines[0].url"; empty where the whole file is meant
  std::string message;   // never a secret
  std::string expected;  // what would be right; may be empty
  std::string nearest;   // the key or word that was probably meant; may be empty
};
// `FILE:LINE:COL: listen.adress: no such key; did you mean "address"?`
std::string to_string(const Problem& problem);

using Problems = std::vector<Problem>;  // in the order of the file
using SettingsPtr = std::shared_ptr<const Settings>;

// The value of an environment variable, if it is set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// Reads settings from YAML; `file_name` is for messages only. All problems are reported, not the
// first. `${file:...}` and `path` are relative to the working directory. The switches of the
// environment win over the text (switches.h).
Result<SettingsPtr, Problems> parse(std::string_view yaml, std::string_view file_name,
                                    const Environment& environment);

struct LoadFailure {
  bool unreadable = false;  // there was nothing to parse: no such file, no permission
  Problems problems;        // at least one
};
// Looks too whether the folders and files are there that the settings name.
Result<SettingsPtr, LoadFailure> load_file(const std::string& path, const Environment& environment);

// The command line of a start without a file.
struct Overrides {
  std::optional<std::string> docs_dir;    // --docs DIR
  std::optional<std::string> engine_url;  // --engine URL: all its models
};

struct Embedded {
  SettingsPtr settings;
  std::vector<std::string> warnings;  // to be logged: variables that this version cannot honour
};

// The settings of a start without a file: what the command line and OPENAI_API_KEY, PORT,
// REDIS_URL and DATABASE_URL say, else the documents engine "handbook" over ./docs.
// Looks whether the folder of documents exists.
Result<Embedded, Problems> embedded_defaults(const Overrides& overrides,
                                             const Environment& environment);

// The settings in force as YAML, to be shown: secrets are "***".
std::string describe(const Settings& settings);

// All options, those to come included: as Markdown, and as a JSON Schema (draft 2020-12).
std::string reference();
std::string json_schema();

}  // namespace penstock::settings
