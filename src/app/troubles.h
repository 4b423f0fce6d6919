// What can go wrong for whoever runs the program: every message with cause and cure. docs/errors.md
// is written from it, and tests/scenarios/test_errors.py holds it to what the program says.
#pragma once

#include <span>
#include <string_view>

namespace penstock::app {

struct Trouble {
  std::string_view title;
  // As they come, one a line; what differs from one to the other stands there as <name>.
  std::string_view messages;
  std::string_view cause;
  std::string_view cure;
};

// Those that are met at one time, with what their messages have in common.
struct TroubleGroup {
  std::string_view title;
  std::string_view about;
  std::span<const Trouble> troubles;
};

std::span<const TroubleGroup> trouble_groups();

// troubles_settings.cc
std::span<const Trouble> settings_troubles();
// troubles_access.cc
std::span<const Trouble> access_troubles();
// troubles_store.cc
std::span<const Trouble> store_troubles();
// troubles_cache.cc
std::span<const Trouble> cache_troubles();
// troubles_traces.cc
std::span<const Trouble> traces_troubles();
std::span<const Trouble> profiles_troubles();
// troubles_usage.cc
std::span<const Trouble> usage_troubles();

}  // namespace penstock::app
