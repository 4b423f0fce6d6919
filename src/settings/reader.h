// Walks a document along the table: every key is found there, every value is read as it says.
#pragma once

#include "settings/document.h"
#include "settings/report.h"
#include "settings/settings.h"
#include "settings/table.h"

namespace penstock::settings {

// Fills `settings` from the document; what is wrong goes into the report, and all of it does.
void read_settings(const Node& document, const Environment& environment, Settings& settings,
                   Report& report);

}  // namespace penstock::settings
