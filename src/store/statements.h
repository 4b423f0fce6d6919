// Every statement of the program, in one table: the test of the plans (plans_test.cc) sees them
// all, and what is not in it has no business with the database.
//
// Each file that asks something has its constants in a part of its own, and the part stands in the
// list of statements.cc.
#pragma once

#include <span>
#include <vector>

#include "store/database.h"

namespace penstock::store {

// A part: the constants of one file.
using Part = std::span<const Statement* const>;

std::vector<const Statement*> statements();

}  // namespace penstock::store
