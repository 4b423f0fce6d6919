// Rows of the ledger as the table `usage` has them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/usage_row.h"
#include "store/database.h"
#include "store/sqlite_file.h"
#include "store/statements.h"

namespace penstock::store {

// In the order of the columns. Without `text`, question and answer are left empty.
inline constexpr std::size_t kUsageColumns = 25;
using UsageValues = std::array<Value, kUsageColumns>;
UsageValues usage_values(const UsageRow& row, bool text);

// Within the transaction that the connection is in.
Result<void> insert_usage(SqliteFile& file, const std::vector<UsageRow>& rows, bool text);

Part usage_write_statements();

}  // namespace penstock::store
