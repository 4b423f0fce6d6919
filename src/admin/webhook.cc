#include "admin/webhook.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <chrono>

#include "dialect/json.h"
#include "exchange/refusals.h"

namespace penstock::admin {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kVersion = "4";
constexpr std::size_t kMostName = 256;         // bytes
constexpr std::size_t kMostTexts = 16 * 1024;  // of an alert's labels, and of its annotations

Refusal not_valid(const std::string& param, const std::string& expected) {
  return refusal(Reason::invalid_value, "Invalid '" + param + "': expected " + expected + ".",
                 param);
}

// The digits at the beginning of `text`, which are taken off.
std::optional<int> digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = 10 * value + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || (text.front() | 0x20) != (c | 0x20)) return false;
  text.remove_prefix(1);
  return true;
}

// Behind the seconds: ".25", of which microseconds are kept.
std::optional<std::int64_t> fraction_us(std::string_view& text) {
  if (!take(text, '.')) return 0;
  std::int64_t us = 0, unit = 100'000;
  std::size_t count = 0;
  for (; count < text.size() && text[count] >= '0' && text[count] <= '9'; ++count) {
    us += unit * (text[count] - '0');
    unit /= 10;
  }
  if (count == 0) return std::nullopt;
  text.remove_prefix(count);
  return us;
}

// Minutes east of UTC.
std::optional<int> zone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  const bool west = text.starts_with('-');
  if (!west && !text.starts_with('+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hours = digits(text, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const auto minutes = digits(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (*hours * 60 + *minutes);
}

// An object of texts, written again; nothing where it is none, or too large.
std::optional<std::string> texts(simdjson::simdjson_result<element> given) {
  object members;
  if (given.get(members) != simdjson::SUCCESS) return std::nullopt;
  std::string out;
  dialect::JsonWriter json(out);
  json.begin_object();
  for (const auto member : members) {
    std::string_view text;
    if (member.value.get(text) != simdjson::SUCCESS) return std::nullopt;
    json.member(member.key, text);
  }
  json.end_object();
  return out.size() <= kMostTexts ? std::optional(std::move(out)) : std::nullopt;
}

std::string_view label(element alert, const char* name) {
  std::string_view text;
  if (alert["labels"][name].get(text) != simdjson::SUCCESS) return {};
  return text.substr(0, kMostName);
}

Result<store::Alert, Refusal> read_alert(element given, const std::string& at) {
  store::Alert alert;
  std::string_view status, text;
  const auto member = [&](const char* name) {
    text = {};
    return given[name].get(text) == simdjson::SUCCESS && !text.empty() && text.size() <= kMostName;
  };
  if (!member("fingerprint")) return not_valid(at + ".fingerprint", "a text");
  alert.fingerprint = text;
  if (given["status"].get(status) != simdjson::SUCCESS ||
      (status != "firing" && status != "resolved")) {
    return not_valid(at + ".status", "firing or resolved");
  }
  const auto time = [&](const char* name) {
    return member(name) ? rfc3339_us(text) : std::nullopt;
  };
  const auto begin = time("startsAt");
  if (!begin) return not_valid(at + ".startsAt", "a time such as 2027-01-31T12:00:00Z");
  alert.begin_us = *begin;
  if (status == "resolved") {
    alert.end_us = time("endsAt");
    if (!alert.end_us) return not_valid(at + ".endsAt", "a time such as 2027-01-31T12:00:00Z");
  }
  const auto labels = texts(given["labels"]);
  if (!labels) return not_valid(at + ".labels", "an object of texts of at most 16 KiB");
  alert.labels = *labels;
  const auto annotations = texts(given["annotations"]);
  if (!annotations) return not_valid(at + ".annotations", "an object of texts of at most 16 KiB");
  alert.annotations = *annotations;
  alert.name = label(given, "alertname");
  alert.severity = label(given, "severity");
  return alert;
}

}  // namespace

std::optional<std::int64_t> rfc3339_us(std::string_view text) {
  const auto year = digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = digits(text, 2);
  if (!day || !take(text, 'T')) return std::nullopt;
  const auto hour = digits(text, 2);
  if (!hour || !take(text, ':')) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || !take(text, ':')) return std::nullopt;
  const auto second = digits(text, 2);
  if (!second) return std::nullopt;
  const auto us = fraction_us(text);
  const auto east = zone(text);
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!us || !east || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t minutes = days * 1440 + *hour * 60 + *minute - *east;
  return (minutes * 60 + *second) * 1'000'000 + *us;
}

Result<std::vector<store::Alert>, Refusal> read_webhook(std::string_view json,
                                                        std::int64_t now_us) {
  simdjson::dom::parser parser;
  element message;
  object members;
  if (parser.parse(simdjson::padded_string(json)).get(message) != simdjson::SUCCESS ||
      message.get(members) != simdjson::SUCCESS) {
    return refusal(Reason::invalid_json, "The body must be a JSON object.");
  }
  std::string_view version, group;
  if (message["version"].get(version) != simdjson::SUCCESS || version != kVersion) {
    return not_valid("version", "\"4\", as Alertmanager's webhooks have it");
  }
  if (message["groupKey"].get(group) != simdjson::SUCCESS || group.empty() ||
      group.size() > kMostTexts) {
    return not_valid("groupKey", "a text");
  }
  simdjson::dom::array given;
  if (message["alerts"].get(given) != simdjson::SUCCESS || given.size() > store::kMostAlerts) {
    return not_valid("alerts", "a list of at most 500 alerts");
  }
  std::vector<store::Alert> alerts;
  for (const element one : given) {
    Result<store::Alert, Refusal> alert = read_alert(one, fmt::format("alerts[{}]", alerts.size()));
    if (!alert) return alert.error();
    alert->group = group;
    alert->seen_us = now_us;
    alerts.push_back(*std::move(alert));
  }
  return alerts;
}

}  // namespace penstock::admin
