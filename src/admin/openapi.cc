// The admin API in OpenAPI 3.1, made from the desk's table of routes and the schemas below.
#include <algorithm>

#include "admin/desk.h"
#include "admin/openapi_schemas.h"

namespace penstock::admin {
namespace {

// What the answers look like. Members may be added to them; clients should not mind.
constexpr std::string_view kSchemas = R"({
"Health":{"type":"object","required":["status"],"properties":{
  "status":{"enum":["pass","fail"]},
  "version":{"type":"string"},
  "checks":{"type":"object","additionalProperties":{"type":"array","items":{
    "type":"object","required":["status"],"properties":{
      "status":{"enum":["pass","warn","fail"]},"output":{"type":"string"}}}}}}},
"Status":{"type":"object",
  "required":["version","uptime_seconds","ready","draining","api","metrics","open_connections",
    "requests","errors","cache_hits","cache","models"],
  "properties":{
    "version":{"type":"string"},
    "uptime_seconds":{"type":"number"},
    "ready":{"type":"boolean"},
    "draining":{"type":"boolean"},
    "api":{"type":"string","description":"The URL of the API for applications."},
    "metrics":{"type":"string","description":"The path of the metrics, on this listener."},
    "open_connections":{"type":"integer"},
    "requests":{"type":"integer"},
    "errors":{"type":"integer","description":"Requests answered with 500 to 504."},
    "cache_hits":{"type":"integer"},
    "cache":{"type":"object","required":["entries","bytes","capacity"],"properties":{
      "entries":{"type":"integer"},"bytes":{"type":"integer"},"capacity":{"type":"integer"}}},
    "models":{"type":"array","items":{"$ref":"#/components/schemas/Model"}}}},
"Model":{"type":"object","required":["model","engine","kind","healthy","calls","in_flight"],"properties":{
  "model":{"type":"string","description":"The name that clients ask for; * is every other name."},
  "engine":{"type":"string"},
  "kind":{"enum":["documents","openai","simulated"]},
  "healthy":{"type":"boolean","description":"Neither checks nor calls say that the engine is unwell."},
  "calls":{"type":"integer"},
  "in_flight":{"type":"integer"}}},
"Models":{"type":"object","required":["models"],"properties":{
  "models":{"type":"array","items":{"$ref":"#/components/schemas/Model"}}}},
"Cache":{"type":"object","required":["entries","bytes","capacity","evictions"],"properties":{
  "entries":{"type":"integer"},
  "bytes":{"type":"integer"},
  "capacity":{"type":"integer","description":"In bytes."},
  "evictions":{"type":"integer"},
  "redis":{"type":"boolean","description":"There is a level in Redis (cache.redis.urls)."},
  "semantic_entries":{"type":"integer","description":"Questions that others are compared with."},
  "requests":{"type":"object","description":"By level, how they ended.","additionalProperties":{
    "type":"object","additionalProperties":{"type":"integer"}}},
  "coalesced":{"type":"integer"},
  "bypassed":{"type":"integer"},
  "saved_tokens":{"type":"integer"},
  "invalidations":{"type":"integer"}}},
"Reloaded":{"type":"object","required":["reloaded"],"properties":{"reloaded":{"const":true}}},
"Level":{"enum":["debug","info","warn","error"]},
"LevelSet":{"type":"object","required":["level"],"properties":{
  "level":{"$ref":"#/components/schemas/Level"}}},
"Seen":{"type":"object","required":["request_id","trace_id","time","duration_ms","method","route",
    "status","stream","model","engine","cache","level","error","exported"],"properties":{
  "request_id":{"type":"string"},
  "trace_id":{"type":"string","pattern":"^[0-9a-f]{32}$"},
  "time":{"type":"string","description":"Of UTC, when it came."},
  "duration_ms":{"type":"number"},
  "method":{"type":"string"},
  "route":{"type":"string"},
  "status":{"type":"integer","description":"499: the client left."},
  "stream":{"type":"boolean"},
  "model":{"type":["string","null"]},
  "engine":{"type":["string","null"]},
  "cache":{"type":["string","null"]},
  "level":{"type":["string","null"]},
  "error":{"type":["string","null"]},
  "exported":{"type":"boolean","description":"A backend gets it too."}}},
"Map":{"type":["object","string"],"required":["window_seconds","nodes","edges"],"properties":{
  "window_seconds":{"type":"number","description":"That the figures are of; less soon after the start."},
  "nodes":{"type":"array","items":{"type":"object","required":["id","kind","name","healthy"],"properties":{
    "id":{"type":"string"},
    "kind":{"enum":["clients","gateway","engine","redis","database","jwks","otlp"]},
    "name":{"type":"string"},
    "healthy":{"type":["boolean","null"],"description":"Null where nobody looks."}}}},
  "edges":{"type":"array","items":{"type":"object",
    "required":["from","to","what","per_second","errors_ratio","mean_ms","p50_ms","p95_ms","p99_ms"],
    "properties":{
      "from":{"type":"string"},
      "to":{"type":"string"},
      "what":{"type":"string","description":"A route, a model, commands, queries, keys, spans."},
      "per_second":{"type":"number"},
      "errors_ratio":{"type":"number"},
      "mean_ms":{"type":["number","null"]},
      "p50_ms":{"type":["number","null"]},
      "p95_ms":{"type":["number","null"]},
      "p99_ms":{"type":["number","null"]}}}}}},
"Traces":{"type":"object","required":["ring","traces"],"properties":{
  "ring":{"type":"integer","description":"So many requests are kept."},
  "traces":{"type":"array","items":{"$ref":"#/components/schemas/Seen"}}}},
"Trace":{"allOf":[{"$ref":"#/components/schemas/Seen"},{"type":"object",
  "required":["parent_span_id","sampled","engine_ms","gateway_ms","attempts","spans","bottleneck","failure"],
  "properties":{
    "parent_span_id":{"type":["string","null"],"description":"The caller's."},
    "linked_trace_id":{"type":"string"},
    "sampled":{"type":"boolean"},
    "engine_ms":{"type":"number"},
    "gateway_ms":{"type":"number"},
    "first_token_ms":{"type":"number"},
    "attempts":{"type":"integer"},
    "limit":{"type":["string","null"]},
    "input_tokens":{"type":"integer"},
    "output_tokens":{"type":"integer"},
    "request_bytes":{"type":"integer"},
    "response_bytes":{"type":"integer"},
    "spans":{"type":"array","description":"Each behind the one it is part of.","items":{
      "type":"object","required":["name","kind","depth","begin_ms","duration_ms","own_ms","span_id","failed","error"],
      "properties":{
        "name":{"type":"string"},
        "kind":{"enum":["server","client","internal"]},
        "depth":{"type":"integer"},
        "begin_ms":{"type":"number"},
        "duration_ms":{"type":"number"},
        "own_ms":{"type":"number","description":"Of it, what no step below it took."},
        "span_id":{"type":"string"},
        "failed":{"type":"boolean"},
        "error":{"type":["string","null"]}}}},
    "bottleneck":{"type":"object","required":["span","name","own_ms","share"],"properties":{
      "span":{"type":"integer","description":"Its place among the spans."},
      "name":{"type":"string"},
      "own_ms":{"type":"number"},
      "share":{"type":"number"}}},
    "failure":{"description":"Where the error began, and what it passed through.","oneOf":[
      {"type":"null"},
      {"type":"object","required":["began_in","error","passed_through"],"properties":{
        "began_in":{"type":"string"},
        "error":{"type":"string"},
        "passed_through":{"type":"array","items":{"type":"string"}}}}]}}}]},
"Document":{"type":"object","required":["openapi","info","paths"]},
"Text":{"type":"string"},
"Error":{"type":"object","required":["error"],"properties":{"error":{
  "type":"object","required":["message","type","param","code"],"properties":{
    "message":{"type":"string"},
    "type":{"type":"string"},
    "param":{"type":["string","null"]},
    "code":{"type":["string","null"]},
    "problems":{"type":"array","items":{"type":"string"},
      "description":"Of a reload: all that is wrong with the file, each with its place."}}}}})";

// The raw text stands in lines for people; the document is one line.
std::string one_line(std::string_view text) {
  std::string line;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t first = std::min(text.find_first_not_of(' ', begin), end);
    line += text.substr(first, end - first);
    begin = end + 1;
  }
  return line;
}

std::string lower(std::string_view method) {
  std::string word(method);
  for (char& c : word) c = static_cast<char>(c - 'A' + 'a');
  return word;
}

class Writer {
 public:
  Writer(std::string& out, bool token) : json_(out), token_(token) {}

  // A path with all its methods.
  void path(const std::vector<const Route*>& routes) {
    json_.key(routes.front()->path).begin_object();
    for (const Route* route : routes) operation(*route);
    json_.end_object();
  }

  // What a path answers to the other methods, and what any other path does.
  void shared_responses() {
    json_.key("responses").begin_object();
    const auto one = [&](std::string_view name, std::string_view says) {
      json_.key(name).begin_object().member("description", says);
      json_.member_raw("content",
                       R"({"application/json":{"schema":{"$ref":"#/components/schemas/Error"}}})");
      json_.end_object();
    };
    one("BadRequest", "The message is malformed.");
    one("Unauthorized", "The admin token is missing or wrong.");
    one("Forbidden", "The Host or Origin is not trusted.");
    one("NotFound", "There is nothing at this path.");
    one("MethodNotAllowed", "The path takes other methods, which the Allow field names.");
    one("NoSuchThing", "There is no such key or tenant.");
    one("Conflict", "It is not in a state in which it can be changed so.");
    one("TooLarge", "The body is larger than 1 MiB.");
    one("NotJson", "The body's content-type is not application/json.");
    one("NoDatabase", "The database cannot be asked now.");
    json_.end_object();
  }

 private:
  void operation(const Route& route) {
    json_.key(lower(route.method)).begin_object();
    json_.member("summary", route.summary);
    parameters(route);
    if (!route.body.empty()) {
      json_.key("requestBody").begin_object().key("content").begin_object();
      content("application/json", route.body);
      json_.end_object().end_object();
    }
    if (!route.open && token_) json_.member_raw("security", R"([{"token":[]}])");
    json_.key("responses").begin_object();
    response(route.success, route.answers, route.media, route.schema);
    if (!route.failure.empty()) {
      const bool health = route.failure == "503";
      response(route.failure, route.failure_says, health ? route.media : "application/json",
               health ? route.schema : "Error");
    }
    if (route.failure != "400") shared("400", "BadRequest");
    if (!route.open) {
      shared("401", "Unauthorized");
      shared("403", "Forbidden");
    }
    if (route.records) {
      if (route.path.find('{') != route.path.npos || route.method == "POST") {
        shared("404", "NoSuchThing");
      }
      if (route.method != "GET") {
        shared("409", "Conflict");
        shared("415", "NotJson");
      }
      shared("503", "NoDatabase");
    }
    if (route.method != "GET") shared("413", "TooLarge");
    json_.end_object().end_object();
  }

  void parameters(const Route& route) {
    const std::size_t brace = route.path.find('{');
    if (brace == route.path.npos && route.query.empty()) return;
    json_.key("parameters").begin_array();
    if (brace != route.path.npos) {
      const std::string_view name = route.path.substr(brace + 1, route.path.find('}') - brace - 1);
      json_.begin_object().member("name", name).member("in", "path").member("required", true);
      json_.member_raw("schema", name == "level" ? R"({"$ref":"#/components/schemas/Level"})"
                                                 : R"({"type":"string"})");
      json_.end_object();
    }
    for (std::string_view rest = route.query; !rest.empty();) {
      const std::string_view name = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      json_.begin_object().member("name", name).member("in", "query");
      json_.member_raw("schema", name == "limit"
                                     ? R"({"type":"integer","minimum":1,"maximum":1000})"
                                     : R"({"type":"string"})");
      json_.end_object();
    }
    json_.end_array();
  }

  void content(std::string_view type, std::string_view schema) {
    json_.key(type).begin_object().key("schema").begin_object();
    json_.member("$ref", "#/components/schemas/" + std::string(schema));
    json_.end_object().end_object();
  }

  void response(std::string_view status, std::string_view says, std::string_view media,
                std::string_view schema) {
    json_.key(status).begin_object().member("description", says);
    json_.key("content").begin_object();
    for (std::string_view rest = media; !rest.empty();) {
      const std::string_view one = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(one.size() + 1, rest.size()));
      content(one, schema);
    }
    json_.end_object().end_object();
  }

  void shared(std::string_view status, std::string_view name) {
    json_.key(status).begin_object();
    json_.member("$ref", "#/components/responses/" + std::string(name));
    json_.end_object();
  }

  dialect::JsonWriter json_;
  const bool token_;  // is needed
};

}  // namespace

std::string Admin::Desk::openapi() const {
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("openapi", "3.1.0");
  json.key("info").begin_object();
  json.member("title", "Penstock admin API").member("version", PENSTOCK_VERSION);
  json.member("description",
              "Every path that takes GET takes HEAD. Another method is answered with 405 and an "
              "Allow field, another path with 404 (without the token, where one is set, with "
              "401). Every answer has an x-request-id.");
  json.end_object();

  json.key("paths").begin_object();
  std::string paths;
  Writer writer(paths, !token_.empty());
  const std::vector<const Route*> all = all_routes();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto same = [&](const Route* other) { return other->path == all[i]->path; };
    if (std::find_if(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i), same) !=
        all.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    std::vector<const Route*> of_path;
    std::copy_if(all.begin(), all.end(), std::back_inserter(of_path), same);
    writer.path(of_path);
  }
  out += paths;
  json.end_object();

  json.key("components").begin_object();
  json.key("securitySchemes").begin_object();
  json.key("token").begin_object().member("type", "http").member("scheme", "bearer");
  json.member("description", "admin.token, where it is set").end_object();
  json.end_object();
  std::string shared;
  Writer(shared, false).shared_responses();
  out += ',';
  out += shared;
  json.member_raw("schemas", one_line(std::string(kSchemas) + std::string(kRecordSchemas)));
  json.end_object().end_object();
  return out;
}

}  // namespace penstock::admin
