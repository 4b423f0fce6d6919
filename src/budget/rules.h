// What Prometheus is to watch of the budgets: recording rules, and alerts on how fast what may be
// missed is used up, over a long and a short window each (multi-window, multi-burn-rate; the SRE
// workbook, chapter 5). Written by `penstock rules`; docs/budgets.md.
#pragma once

#include <string>
#include <vector>

#include "budget/objective.h"

namespace penstock::budget {

// A file of rules, in YAML. Those of budgets that are looked at live.
std::string prometheus_rules(const std::vector<Objective>& objectives);

}  // namespace penstock::budget
