#include "store/statements.h"

#include "store/alerts.h"
#include "store/audit.h"
#include "store/budgets.h"
#include "store/engagement.h"
#include "store/feedback.h"
#include "store/keeper.h"
#include "store/keys.h"
#include "store/migrations.h"
#include "store/popular.h"
#include "store/postgres_statements.h"
#include "store/tenants.h"
#include "store/usage.h"
#include "store/usage_write.h"

namespace penstock::store {

std::vector<const Statement*> statements() {
  std::vector<const Statement*> all;
  for (const Part part :
       {migration_statements(), usage_write_statements(), usage_statements(), keeper_statements(),
        postgres_statements(), key_statements(), tenant_statements(), audit_statements(),
        feedback_statements(), engagement_statements(), popular_statements(), budget_statements(),
        alert_statements()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace penstock::store
