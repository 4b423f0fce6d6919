// The tenants: those of the configuration and those of the database, as one. What the configuration
// says of a tenant wins, field by field; what it leaves open the database may say.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "access/records.h"

namespace penstock::access {

using TenantPtr = std::shared_ptr<const Tenant>;

// Read and written by any thread. Callers are made with it; requests do not come here.
class TenantBook {
 public:
  explicit TenantBook(std::vector<Tenant> configured) : configured_(std::move(configured)) {}

  // Null: nothing is said of it anywhere.
  TenantPtr find(std::string_view name) const;
  // Whether it was deleted, and stands in no configuration: nobody is let in for it.
  bool deleted(std::string_view name) const;

  // Those of the configuration from now on.
  void configure(std::vector<Tenant> configured);
  // What the database says now; nothing: it was deleted.
  void keep(const std::string& name, std::optional<Tenant> tenant);
  void forget_kept();

 private:
  const Tenant* configured(std::string_view name) const;

  mutable std::mutex mutex_;
  std::vector<Tenant> configured_;
  std::unordered_map<std::string, std::optional<Tenant>> kept_;
};

}  // namespace penstock::access
