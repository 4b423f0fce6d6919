#include "admin/records.h"

#include <unistd.h>

#include <array>

#include "admin/words.h"
#include "exchange/refusals.h"
#include "settings/values.h"
#include "store/audit.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;

constexpr std::string_view kJson = "application/json";
constexpr std::uint64_t kPage = 100;
constexpr std::uint64_t kMostPage = 1000;
constexpr Duration kGrace = 1h;

Answer refused(Refusal refusal) { return {refusal.status, {}, kJson, std::move(refusal)}; }

Answer answered(std::string body, int status = 200) {
  return {status, std::move(body), kJson, std::nullopt};
}

std::string sentence(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  }
  return text + ".";
}

Result<std::uint64_t, Refusal> limit_of(const Query& query) {
  const auto given = query.find("limit");
  if (given == query.end()) return kPage;
  const auto number = settings::parse_integer(given->second);
  if (!number || *number == 0 || *number > kMostPage) {
    return refusal(Reason::invalid_value,
                   "Invalid 'limit': expected a whole number from 1 to 1000.", "limit");
  }
  return *number;
}

std::string value_of(const Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

std::string host_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

std::string key_json(const access::Key& key, WallTime now) {
  std::string out;
  dialect::JsonWriter json(out);
  write_key(json, key, now);
  return out;
}

// With the key itself, this once.
std::string new_key_json(const access::NewKey& made, WallTime now) {
  std::string out = key_json(made.key, now);
  out.pop_back();
  out += ",\"key\":";
  dialect::write_string(out, made.secret);
  return out + "}";
}

std::string tenant_json(const access::Tenant& tenant) {
  std::string out;
  dialect::JsonWriter json(out);
  write_tenant(json, tenant);
  return out;
}

void write_more(dialect::JsonWriter& json, bool more, const std::string& after) {
  if (more) {
    json.member("more", after);
  } else {
    json.member_null("more");
  }
}

}  // namespace

Answer RecordsRoom::failed(const Error& error) {
  if (error.source == Source::store) {
    // Not which database it is: that is the operator's, in the log and in /health.
    Refusal away = refusal(Reason::store_unavailable, "The database cannot be asked now.");
    away.retry_after = 1s;
    return refused(std::move(away));
  }
  const Reason reason = error.kind == Kind::not_found ? Reason::not_found
                        : error.kind == Kind::refused ? Reason::conflict
                                                      : Reason::invalid_value;
  return refused(refusal(reason, sentence(error.detail)));
}

RecordsRoom::RecordsRoom(const Records& records, Program& program, gateway::House& house)
    : lent_(records), program_(program), house_(house), node_(host_name()) {}

Task<void> RecordsRoom::write_down(const Ask& ask, std::string action, std::string object,
                                   std::string detail, Deadline& deadline) {
  const std::int64_t us = access::to_us(ask.now);
  store::Note note;
  const Uuid id = make_uuid7(static_cast<std::uint64_t>(us / 1000), random_);
  note.id = text(id);
  note.time_us = us;
  note.who = ask.who;
  note.action = std::move(action);
  note.object = std::move(object);
  note.detail = std::move(detail);
  note.node = node_;
  Result<void> written = co_await store::write_note(lent_.database, std::move(note), deadline);
  static_cast<void>(written);  // the log has it in any case
}

Task<Result<access::Office*>> RecordsRoom::office(Deadline& deadline) {
  if (office_ == nullptr) {
    std::string secret = lent_.secret;
    if (secret.empty()) {
      Result<std::string> kept = co_await access::secret_of(lent_.database, deadline);
      if (!kept) co_return kept.error();
      secret = *std::move(kept);
    }
    // Another request may have been faster.
    if (office_ == nullptr) {
      office_ = std::make_unique<access::Office>(lent_.database, std::move(secret),
                                                 lent_.configured, lent_.changed);
    }
  }
  co_return office_.get();
}

// ---- keys ---------------------------------------------------------------------------------------

Task<Answer> RecordsRoom::list_keys(Ask ask, Deadline& deadline) {
  const Result<std::uint64_t, Refusal> limit = limit_of(ask.query);
  if (!limit) co_return refused(limit.error());
  const auto most = static_cast<std::int64_t>(*limit);
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<std::vector<access::Key>> keys = co_await (*desk)->keys(
      value_of(ask.query, "tenant"), value_of(ask.query, "after"), most + 1, deadline);
  if (!keys) co_return failed(keys.error());
  const bool more = keys->size() > *limit;
  if (more) keys->pop_back();
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("keys").begin_array();
  for (const access::Key& key : *keys) write_key(json, key, ask.now);
  json.end_array();
  write_more(json, more, more ? keys->back().id : std::string());
  json.end_object();
  co_return answered(std::move(out));
}

Task<Answer> RecordsRoom::create_key(Ask ask, Deadline& deadline) {
  Result<Body, Refusal> body = read_body(
      ask.body, {"tenant", "name", "models", "limits", "priority", "cache_scope", "expires"},
      ask.now);
  if (!body) co_return refused(body.error());
  for (const auto& [member, given] :
       {std::pair("tenant", body->tenant.has_value()), std::pair("name", body->name.has_value())}) {
    if (given) continue;
    co_return refused(refusal(Reason::missing_required_parameter,
                              "Missing required parameter: '" + std::string(member) + "'.",
                              member));
  }
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::NewKey> made = co_await (*desk)->create_key(*body->tenant, std::move(body->change),
                                                             actor(ask), ask.now, deadline);
  if (!made) co_return failed(made.error());
  co_return answered(new_key_json(*made, ask.now), 201);
}

Task<Answer> RecordsRoom::show_key(Ask ask, Deadline& deadline) {
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Key> key = co_await (*desk)->key(ask.object, deadline);
  if (!key) co_return failed(key.error());
  co_return answered(key_json(*key, ask.now));
}

Task<Answer> RecordsRoom::update_key(Ask ask, Deadline& deadline) {
  Result<Body, Refusal> body = read_body(
      ask.body, {"name", "models", "limits", "priority", "cache_scope", "expires"}, ask.now);
  if (!body) co_return refused(body.error());
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Key> key = co_await (*desk)->update_key(ask.object, std::move(body->change),
                                                         actor(ask), ask.now, deadline);
  if (!key) co_return failed(key.error());
  co_return answered(key_json(*key, ask.now));
}

Task<Answer> RecordsRoom::revoke_key(Ask ask, Deadline& deadline) {
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Key> key = co_await (*desk)->revoke_key(ask.object, actor(ask), ask.now, deadline);
  if (!key) co_return failed(key.error());
  co_return answered(key_json(*key, ask.now));
}

Task<Answer> RecordsRoom::rotate_key(Ask ask, Deadline& deadline) {
  const Result<Body, Refusal> body = read_body(ask.body, {"grace"}, ask.now);
  if (!body) co_return refused(body.error());
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::NewKey> made = co_await (*desk)->rotate_key(
      ask.object, body->grace.value_or(kGrace), actor(ask), ask.now, deadline);
  if (!made) co_return failed(made.error());
  co_return answered(new_key_json(*made, ask.now), 201);
}

// ---- tenants ------------------------------------------------------------------------------------

Task<Answer> RecordsRoom::list_tenants(Ask ask, Deadline& deadline) {
  const Result<std::uint64_t, Refusal> limit = limit_of(ask.query);
  if (!limit) co_return refused(limit.error());
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<std::vector<access::Tenant>> tenants = co_await (*desk)->tenants(
      value_of(ask.query, "after"), static_cast<std::int64_t>(*limit) + 1, deadline);
  if (!tenants) co_return failed(tenants.error());
  const bool more = tenants->size() > *limit;
  if (more) tenants->pop_back();
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("tenants").begin_array();
  for (const access::Tenant& tenant : *tenants) write_tenant(json, tenant);
  json.end_array();
  write_more(json, more, more ? tenants->back().name : std::string());
  json.end_object();
  co_return answered(std::move(out));
}

Task<Answer> RecordsRoom::create_tenant(Ask ask, Deadline& deadline) {
  Result<Body, Refusal> body =
      read_body(ask.body, {"name", "models", "limits", "cache_scope"}, ask.now);
  if (!body) co_return refused(body.error());
  if (!body->name) {
    co_return refused(
        refusal(Reason::missing_required_parameter, "Missing required parameter: 'name'.", "name"));
  }
  body->change.name.reset();
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Tenant> tenant = co_await (*desk)->create_tenant(
      *body->name, std::move(body->change), actor(ask), ask.now, deadline);
  if (!tenant) co_return failed(tenant.error());
  co_return answered(tenant_json(*tenant), 201);
}

Task<Answer> RecordsRoom::show_tenant(Ask ask, Deadline& deadline) {
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Tenant> tenant = co_await (*desk)->tenant(ask.object, deadline);
  if (!tenant) co_return failed(tenant.error());
  co_return answered(tenant_json(*tenant));
}

Task<Answer> RecordsRoom::update_tenant(Ask ask, Deadline& deadline) {
  Result<Body, Refusal> body = read_body(ask.body, {"models", "limits", "cache_scope"}, ask.now);
  if (!body) co_return refused(body.error());
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Tenant> tenant = co_await (*desk)->update_tenant(
      ask.object, std::move(body->change), actor(ask), ask.now, deadline);
  if (!tenant) co_return failed(tenant.error());
  co_return answered(tenant_json(*tenant));
}

Task<Answer> RecordsRoom::delete_tenant(Ask ask, Deadline& deadline) {
  const Result<access::Office*> desk = co_await office(deadline);
  if (!desk) co_return failed(desk.error());
  Result<access::Tenant> tenant =
      co_await (*desk)->delete_tenant(ask.object, actor(ask), ask.now, deadline);
  if (!tenant) co_return failed(tenant.error());
  co_return answered(tenant_json(*tenant));
}

// ---- audit --------------------------------------------------------------------------------------

Task<Answer> RecordsRoom::list_audit(Ask ask, Deadline& deadline) {
  const Result<std::uint64_t, Refusal> limit = limit_of(ask.query);
  if (!limit) co_return refused(limit.error());
  // "1800000000000000,0190..." is the time and id of the last one that was read.
  std::int64_t before_us = std::numeric_limits<std::int64_t>::max();
  std::string before_id;
  const std::string before = value_of(ask.query, "before");
  if (!before.empty()) {
    const std::size_t comma = before.find(',');
    const auto us = settings::parse_integer(std::string_view(before).substr(0, comma));
    if (!us || comma == before.npos ||
        *us > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      co_return refused(refusal(Reason::invalid_value,
                                "Invalid 'before': expected what `more` of an answer was.",
                                "before"));
    }
    before_us = static_cast<std::int64_t>(*us);
    before_id = before.substr(comma + 1);
  }
  Result<std::vector<store::Note>> notes =
      co_await store::list_audit(lent_.database, before_us, std::move(before_id),
                                 static_cast<std::int64_t>(*limit) + 1, deadline);
  if (!notes) co_return failed(notes.error());
  const bool more = notes->size() > *limit;
  if (more) notes->pop_back();
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("changes").begin_array();
  for (const store::Note& note : *notes) {
    json.begin_object().member("id", note.id);
    json.member("time", time_text(access::from_us(note.time_us))).member("who", note.who);
    json.member("action", note.action).member("object", note.object);
    json.member_raw("detail", note.detail).member("node", note.node).end_object();
  }
  json.end_array();
  write_more(json, more,
             more ? std::to_string(notes->back().time_us) + "," + notes->back().id : std::string());
  json.end_object();
  co_return answered(std::move(out));
}

}  // namespace penstock::admin
