#include "admin/incidents.h"

#include <algorithm>
#include <map>

#include "admin/records.h"
#include "admin/webhook.h"
#include "admin/words.h"
#include "exchange/refusals.h"
#include "settings/values.h"
#include "store/audit.h"

namespace penstock::admin {
namespace {

using Answer = RecordsRoom::Answer;

constexpr std::int64_t kMinute = 60'000'000;
constexpr std::int64_t kBetween = 5 * kMinute;  // alerts of one incident
constexpr std::int64_t kShortly = 30 * kMinute;
constexpr std::int64_t kMostAlerts = 2000;
constexpr std::size_t kListed = 20;
constexpr std::size_t kMostListed = 100;
constexpr std::size_t kMostChanges = 20;
constexpr Duration kSince = 7 * 24h;

int rank(std::string_view severity) {
  return severity == "critical" ? 2 : severity == "warning" ? 1 : 0;
}

Incident begin_of(store::Alert alert) {
  Incident incident;
  incident.begin_us = alert.begin_us;
  incident.end_us = alert.end_us;
  incident.severity = alert.severity;
  incident.name = alert.name;
  incident.alerts.push_back(std::move(alert));
  return incident;
}

void add(Incident& incident, store::Alert alert) {
  if (!alert.end_us || !incident.end_us) {
    incident.end_us.reset();
  } else {
    incident.end_us = std::max(*incident.end_us, *alert.end_us);
  }
  if (rank(alert.severity) > rank(incident.severity)) incident.severity = alert.severity;
  const bool named = std::any_of(incident.alerts.begin(), incident.alerts.end(),
                                 [&](const store::Alert& one) { return one.name == alert.name; });
  if (!named) incident.name += ", " + alert.name;
  incident.alerts.push_back(std::move(alert));
}

Answer refused(Refusal refusal) {
  return {refusal.status, {}, "application/json", std::move(refusal)};
}

Refusal not_valid(const std::string& param, const std::string& expected) {
  return refusal(Reason::invalid_value, "Invalid '" + param + "': expected " + expected + ".",
                 param);
}

void write_times(dialect::JsonWriter& json, std::int64_t begin_us,
                 std::optional<std::int64_t> end_us) {
  json.member("begin", time_text(access::from_us(begin_us)));
  if (end_us) {
    json.member("end", time_text(access::from_us(*end_us)));
  } else {
    json.member_null("end");
  }
}

void write_incident(dialect::JsonWriter& json, const Incident& incident,
                    const std::vector<store::Note>& changes) {
  json.begin_object().member("name", incident.name).member("severity", incident.severity);
  write_times(json, incident.begin_us, incident.end_us);
  json.key("alerts").begin_array();
  for (const store::Alert& alert : incident.alerts) {
    json.begin_object().member("name", alert.name).member("severity", alert.severity);
    write_times(json, alert.begin_us, alert.end_us);
    json.member_raw("labels", alert.labels).member_raw("annotations", alert.annotations);
    json.end_object();
  }
  json.end_array().key("changes").begin_array();
  for (const store::Note& note : changes) {
    json.begin_object().member("time", time_text(access::from_us(note.time_us)));
    json.member("who", note.who).member("action", note.action).member("object", note.object);
    json.member_raw("detail", note.detail).member("node", note.node).end_object();
  }
  json.end_array().end_object();
}

}  // namespace

std::vector<Incident> incidents_of(std::vector<store::Alert> alerts) {
  std::sort(alerts.begin(), alerts.end(),
            [](const auto& a, const auto& b) { return a.begin_us < b.begin_us; });
  std::vector<Incident> all;
  std::map<std::string, std::size_t> last;  // of each group, its place in `all`
  for (store::Alert& alert : alerts) {
    const auto at = last.find(alert.group);
    if (at != last.end()) {
      Incident& before = all[at->second];
      if (!before.end_us || alert.begin_us <= *before.end_us + kBetween) {
        add(before, std::move(alert));
        continue;
      }
    }
    last[alert.group] = all.size();
    all.push_back(begin_of(std::move(alert)));
  }
  std::reverse(all.begin(), all.end());
  return all;
}

// POST /admin/v1/alerts
Task<Answer> RecordsRoom::take_alerts(Ask ask, Deadline& deadline) {
  const std::int64_t now_us = access::to_us(ask.now);
  Result<std::vector<store::Alert>, Refusal> alerts = read_webhook(ask.body, now_us);
  if (!alerts) co_return refused(alerts.error());
  const std::size_t taken = alerts->size();
  Result<void> written = co_await store::write_alerts(lent_.database, *std::move(alerts), deadline);
  if (!written) co_return failed(written.error());
  const auto keep = std::chrono::duration_cast<std::chrono::microseconds>(lent_.keep).count();
  Result<void> forgotten = co_await store::forget_alerts(lent_.database, now_us - keep, deadline);
  static_cast<void>(forgotten);  // the next message does it
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().member("taken", taken).end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

// GET /admin/v1/incidents
Task<Answer> RecordsRoom::list_incidents(Ask ask, Deadline& deadline) {
  WallTime since = ask.now - std::chrono::duration_cast<WallTime::duration>(kSince);
  if (const auto given = ask.query.find("since"); given != ask.query.end()) {
    const auto moment = moment_of(given->second, ask.now);
    if (!moment) {
      co_return refused(
          not_valid("since", "a day such as 2027-01-31, a time, or how long ago (24h)"));
    }
    since = *moment;
  }
  std::size_t limit = kListed;
  if (const auto given = ask.query.find("limit"); given != ask.query.end()) {
    const auto number = settings::parse_integer(given->second);
    if (!number || *number == 0 || *number > kMostListed) {
      co_return refused(not_valid("limit", "a whole number from 1 to 100"));
    }
    limit = *number;
  }
  Result<std::vector<store::Alert>> alerts =
      co_await store::list_alerts(lent_.database, access::to_us(since), kMostAlerts, deadline);
  if (!alerts) co_return failed(alerts.error());
  std::vector<Incident> incidents = incidents_of(*std::move(alerts));
  if (incidents.size() > limit) incidents.resize(limit);

  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object().key("incidents").begin_array();
  for (const Incident& incident : incidents) {
    Result<std::vector<store::Note>> notes = co_await store::list_audit(
        lent_.database, incident.begin_us, std::string(), kMostChanges, deadline);
    if (!notes) co_return failed(notes.error());
    std::erase_if(*notes, [&](const store::Note& note) {
      return note.time_us < incident.begin_us - kShortly;
    });
    write_incident(json, incident, *notes);
  }
  json.end_array().end_object();
  co_return Answer{200, std::move(out), "application/json", std::nullopt};
}

}  // namespace penstock::admin
