#include "store/statements.h"

#include "store/migrations.h"
#include "store/usage_write.h"

namespace penstock::store {

std::vector<const Statement*> statements() {
  std::vector<const Statement*> all;
  for (const Part part : {migration_statements(), usage_write_statements()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace penstock::store
