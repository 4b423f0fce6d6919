// What one value alone cannot tell: whether the settings agree with each other.
#pragma once

#include "settings/report.h"
#include "settings/settings.h"

namespace penstock::settings {

// Adds what follows from what is not given: the documents engine where there is no engine, the
// engines' own models where there are no models; a small cache takes smaller entries, unless
// `entry_given` says that their size was decided.
void complete(Settings& settings, bool entry_given);

// Whether a URL of an engine is where this gateway itself listens.
bool own_address(const Settings& settings, std::string_view url);

// Settings made without a file are checked too: their problems then have no places.
void check(const Settings& settings, Report& report);

// Of them what says who may ask, how much, and where it is kept (checks_access.cc).
void check_access(const Settings& settings, Report& report);

// Whether the folders and files are there that the file names.
void check_files(const Settings& settings, Report& report);

}  // namespace penstock::settings
