#include "budget/rules.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "settings/budgets.h"

namespace penstock::budget {
namespace {

constexpr std::string_view kHead =
    R"(# Written by `penstock rules` from the `budgets:` of the configuration: change them there, and write
# this again. docs/budgets.md says what the numbers mean.
#
#   job:penstock_budget_missed:ratio_rate5m{budget}   what was missed of a budget's events, 0 to 1
#   job:penstock_budget_events:rate1h{budget}         how many there were a second
)";

// From where the rules lie; whoever keeps the pages elsewhere puts that before it.
constexpr std::string_view kRunbooks = "docs/runbooks/";

constexpr std::array<std::string_view, 7> kRecorded = {"5m", "30m", "1h", "2h", "6h", "1d", "3d"};

// Both windows must burn so fast: the long one so that it matters, the short one so that the alert
// ends soon after its cause.
struct Pair {
  std::string_view longer, shorter;
  double factor;
  std::string_view spent;  // what of thirty days' budget is gone by then
};
constexpr std::array<Pair, 2> kFast = {
    {{"1h", "5m", 14.4, "2% within an hour"}, {"6h", "30m", 6, "5% within six hours"}}};
constexpr std::array<Pair, 2> kSlow = {
    {{"1d", "2h", 3, "10% within a day"}, {"3d", "6h", 1, "10% within three days"}}};

constexpr double kFewestEvents = 0.02;  // a second: below that one event decides too much

// A bucket's bound as Prometheus may have it: in OpenMetrics 1 is written 1.0.
std::string bound(double limit) {
  if (limit != std::floor(limit)) return fmt::format("le=\"{}\"", limit);
  return fmt::format("le=~\"{}([.]0)?\"", limit);
}

std::string_view histogram(Of of) {
  if (of == Of::response) return "penstock_http_request_duration_seconds";
  if (of == Of::first_token) return "penstock_engine_time_to_first_token_seconds";
  return "penstock_request_overhead_seconds";
}

std::string rate(std::string_view series, std::string_view labels, std::string_view window) {
  return fmt::format("sum by (job) (rate({}{{{}}}[{}]))", series, labels, window);
}

// What is counted, a second.
std::string events(const Objective& one, std::string_view window) {
  if (one.of == Of::errors) {
    return fmt::format("sum by (job) (rate(penstock_http_requests_total[{}]))", window);
  }
  if (one.of == Of::cache) {
    return rate("penstock_request_overhead_seconds_count", "cache=~\"hit|stale|coalesced|miss\"",
                window);
  }
  const std::string_view labels =
      one.of == Of::response ? "code_class=\"2xx\", stream=\"false\"" : "";
  return rate(fmt::format("{}_count", histogram(one.of)), labels, window);
}

// Of them those that were missed.
std::string missed(const Objective& one, std::string_view window) {
  if (one.of == Of::errors) return rate("penstock_http_requests_total", "code=~\"5..\"", window);
  if (one.of == Of::cache)
    return rate("penstock_request_overhead_seconds_count", "cache=\"miss\"", window);
  const std::string labels = one.of == Of::response ? "code_class=\"2xx\", stream=\"false\", " : "";
  return fmt::format(
      "({} - {})", events(one, window),
      rate(fmt::format("{}_bucket", histogram(one.of)), labels + bound(one.limit), window));
}

// 1 while a node is beyond the limit.
std::string beyond(const Objective& one) {
  if (one.of == Of::cpu) {
    return fmt::format("rate(process_cpu_seconds_total[1m]) / penstock_cpu_limit_cores >= bool {}",
                       one.limit);
  }
  if (one.of == Of::memory) {
    return fmt::format("process_resident_memory_bytes / penstock_memory_limit_bytes >= bool {}",
                       one.limit);
  }
  return fmt::format("sum by (job, instance) (penstock_db_pool_connections) >= bool {}", one.limit);
}

void record(std::string& out, std::string_view name, const Objective& one, std::string_view expr) {
  out += fmt::format("      - record: {}\n        expr: {}\n        labels: {{budget: {}}}\n", name,
                     expr, one.name);
}

void record_all(std::string& out, const Objective& one) {
  const bool minutes = settings::of_minutes(one.of);
  if (minutes) record(out, "instance:penstock_budget_missed:bool", one, beyond(one));
  for (const std::string_view window : kRecorded) {
    const std::string name = fmt::format("job:penstock_budget_missed:ratio_rate{}", window);
    record(out, name, one,
           minutes
               ? fmt::format("avg by (job) (avg_over_time(instance:penstock_budget_missed:bool{{"
                             "budget=\"{}\"}}[{}]))",
                             one.name, window)
               : fmt::format("{} / {}", missed(one, window), events(one, window)));
  }
  if (!minutes) record(out, "job:penstock_budget_events:rate1h", one, events(one, "1h"));
}

std::string burning(const Objective& one, const Pair& pair) {
  const auto over = [&](std::string_view window) {
    return fmt::format("job:penstock_budget_missed:ratio_rate{}{{budget=\"{}\"}} > {} * {:.6g}",
                       window, one.name, pair.factor, 1 - one.share);
  };
  return fmt::format("({}\n           and {})", over(pair.longer), over(pair.shorter));
}

struct Kind {
  std::string_view alert, severity, keep;
  std::string_view summary;
};

// Nothing where a budget is so large that it cannot burn that fast.
void alert(std::string& out, const Objective& one, const std::array<Pair, 2>& pairs,
           const Kind& kind) {
  std::string expr, spent;
  for (const Pair& pair : pairs) {
    if (pair.factor * (1 - one.share) >= 1) continue;
    if (!expr.empty()) expr += "\n          or ";
    expr += burning(one, pair);
    spent += fmt::format("{}{}", spent.empty() ? "" : " or ", pair.spent);
  }
  if (expr.empty()) return;
  if (!settings::of_minutes(one.of)) {
    expr = fmt::format(
        "({})\n          and on (job) job:penstock_budget_events:rate1h{{budget=\"{}\"}} > {}",
        expr, one.name, kFewestEvents);
  }
  out += fmt::format(
      "      - alert: {}\n"
      "        expr: |-\n          {}\n"
      "        keep_firing_for: {}\n"
      "        labels: {{budget: {}, severity: {}}}\n"
      "        annotations:\n"
      "          summary: {}\n"
      "          description: >-\n"
      "            Budget {} ({}) of {{{{ $labels.job }}}}: {{{{ $value | humanizePercentage }}}} "
      "was missed of\n"
      "            {:.6g}% that may be. At this pace {} of thirty days' budget is gone.\n"
      "          runbook_url: {}{}.md\n",
      kind.alert, expr, kind.keep, one.name, kind.severity, kind.summary, one.name, one.target(),
      100 * (1 - one.share), spent, kRunbooks, kind.alert);
}

}  // namespace

std::string prometheus_rules(const std::vector<Objective>& objectives) {
  std::string out(kHead);
  out += "groups:\n";
  bool any = false;
  for (const Objective& one : objectives) {
    if (!one.live || one.of == Of::throughput) continue;
    any = true;
    out += fmt::format("  - name: penstock-budget-{}\n    rules:\n", one.name);
    record_all(out, one);
    if (one.alert == settings::BudgetAlert::none) continue;
    const bool page = one.alert == settings::BudgetAlert::page;
    alert(out, one, kFast,
          {"PenstockBudgetBurnFast", page ? "critical" : "warning", "10m",
           "A performance budget is being used up fast."});
    alert(out, one, kSlow,
          {"PenstockBudgetBurnSlow", "warning", "1h",
           "A performance budget will not last for its thirty days."});
  }
  if (!any) out = std::string(kHead) + "groups: []\n";
  return out;
}

}  // namespace penstock::budget
