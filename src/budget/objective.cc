#include "budget/objective.h"

#include <fmt/format.h>

#include "settings/budgets.h"

namespace penstock::budget {

std::string Objective::measure() const {
  if (of == Of::cache || of == Of::errors) return fmt::format("{} {}", name, settings::name_of(of));
  return fmt::format("{} {}<{}", name, settings::name_of(of), limit);
}

std::string Objective::target() const {
  const std::string share_text = settings::ratio_to_text(share);
  switch (of) {
    case Of::response: return fmt::format("{} of answers below {}", share_text, below);
    case Of::first_token: return fmt::format("{} of first tokens below {}", share_text, below);
    case Of::overhead: return fmt::format("{} of requests below {} in here", share_text, below);
    case Of::errors: return fmt::format("errors below {}", below);
    case Of::cache: return fmt::format("{} answered without an engine", share_text);
    case Of::throughput: return fmt::format("{} requests/s under load", rate);
    case Of::cpu: return fmt::format("CPU below {} in {} of minutes", below, share_text);
    case Of::memory: return fmt::format("memory below {} in {} of minutes", below, share_text);
    case Of::database_connections: break;
  }
  return fmt::format("database connections below {} in {} of minutes", below, share_text);
}

std::vector<Objective> objectives(const settings::Settings& settings) {
  std::vector<Objective> all;
  for (const settings::Budget& budget : settings.budgets) {
    Objective one;
    one.name = budget.name;
    one.of = *budget.of;
    one.live = budget.live();
    one.alert = budget.alert;
    one.below = budget.below;
    if (one.of == Of::throughput) {
      one.rate = *budget.requests_per_second;
    } else {
      if (one.of != Of::cache) one.limit = *settings::limit_of(budget);
      one.share = settings::objective_of(budget);
    }
    all.push_back(std::move(one));
  }
  return all;
}

double burn_rate(const Count& count, double share) {
  if (count.total == 0) return 0;
  const auto bad = static_cast<double>(count.total - count.good);
  return bad / static_cast<double>(count.total) / (1 - share);
}

}  // namespace penstock::budget
