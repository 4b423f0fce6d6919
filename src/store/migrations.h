// The tables, version by version. What has been released is never changed: a change is a version
// more at the end. Each version is applied in one transaction with its row in `schema_version`.
#pragma once

#include <span>
#include <string_view>

#include "store/database.h"
#include "store/statements.h"

namespace penstock::store {

struct Version {
  std::int64_t number;
  std::span<const std::string_view> sqlite;  // one statement each
  std::span<const std::string_view> postgres;
};

std::span<const Version> versions();

Part migration_statements();

// migrations_sqlite.cc, migrations_postgres.cc
std::span<const std::string_view> first_version_of_sqlite();
std::span<const std::string_view> first_version_of_postgres();
std::span<const std::string_view> second_version_of_sqlite();
std::span<const std::string_view> third_version_of_sqlite();
std::span<const std::string_view> fourth_version_of_sqlite();
std::span<const std::string_view> second_version_of_postgres();
std::span<const std::string_view> third_version_of_postgres();
std::span<const std::string_view> fourth_version_of_postgres();

}  // namespace penstock::store
