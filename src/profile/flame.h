// Profiles for eyes: folded stacks, a line each, as flamegraph.pl and speedscope read them; and a
// flame graph, an SVG that needs nothing beside it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "profile/profile.h"
#include "profile/symbols.h"

namespace penstock::profile {

// "main;serve;answer 42\n": the outermost function first, and what was counted in the innermost
// one. Sorted; stacks that nothing was counted in are left out.
std::string folded(const Profile& profile, const Symbols& symbols);

// Stacks with what was counted in them. The functions' names, the outermost first.
using Stacks = std::map<std::vector<std::string>, std::int64_t>;

// Of folded stacks; `invalid` where a line is none.
Result<Stacks> read_folded(std::string_view text);

struct Hot {
  std::string name;
  std::int64_t own = 0;    // counted in the function itself
  std::int64_t whole = 0;  // and in what it called
};
// By what was counted in the function itself, the largest first; then by name.
std::vector<Hot> hottest(const Stacks& stacks);

struct Title {
  std::string text;  // "CPU, 10 s"
  std::string unit;  // of what was counted: "ns", "bytes"; or "samples"
};
std::string flame_svg(const Stacks& stacks, const Title& title);

// "1.25 s", "3.4 MiB", "17 samples": what was counted, for people.
std::string amount_text(std::int64_t count, std::string_view unit);

}  // namespace penstock::profile
