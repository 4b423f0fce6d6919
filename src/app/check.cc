// `penstock check FILE`
#include <fmt/format.h>

#include "app/commands.h"
#include "app/exit_codes.h"
#include "settings/settings.h"

namespace penstock::app {
namespace {

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

int check_command(const std::string& file, std::FILE* out, std::FILE* err) {
  const auto loaded = settings::load_file(file, settings::process_environment());
  if (loaded) {
    const settings::Settings& good = **loaded;
    fmt::print(out, "{}: good ({}, {})\n", file, counted(good.engines.size(), "engine"),
               counted(good.models.size(), "model"));
    return kGood;
  }
  const settings::LoadFailure& failure = loaded.error();
  for (const settings::Problem& problem : failure.problems) {
    fmt::print(err, "{}\n", settings::to_string(problem));
  }
  if (failure.unreadable) return kBadUsage;
  fmt::print(err, "{}: {}\n", file, counted(failure.problems.size(), "problem"));
  return kBadUsage;
}

}  // namespace penstock::app
