// Usage rows in the binary form of COPY (PostgreSQL's documentation, COPY, "Binary Format").
//
//   "PGCOPY\n\377\r\n\0" flags extension | fields, then each as length and bytes | ... | -1
#pragma once

#include <string>
#include <vector>

#include "exchange/usage_row.h"

namespace penstock::store {

// Each row begins with `batch`. Without `text`, question and answer are left empty.
std::string copy_of(const std::vector<UsageRow>& rows, std::int64_t batch, bool text);

}  // namespace penstock::store
