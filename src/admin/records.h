// The room of the admin API whose answers take their time: keys, tenants, the audit log, usage,
// purges and switches.
//
// Each operation is a coroutine on the admin's loop: it gets what was asked as a value and gives
// its answer as one, so that it neither holds nor outlives a connection.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "access/office.h"
#include "admin/admin.h"
#include "admin/body.h"
#include "admin/route.h"
#include "base/deadline.h"
#include "exchange/exchange.h"
#include "store/database.h"

namespace penstock::admin {

// What the program lends it. The database must outlive the admin listener.
struct Records {
  store::Database& database;
  std::string secret;                                // of keys
  Duration keep;                                     // of what is written down here
  std::function<bool(std::string_view)> configured;  // whether a tenant stands in the configuration
  std::function<void()> changed;                     // to be told of each change
};

class RecordsRoom {
 public:
  struct Ask {
    std::string object;  // the key's id, the tenant's name
    Query query;
    std::string body;
    std::string accept;
    std::string who;  // for the audit log
    WallTime now{};
  };
  struct Answer {
    int status = 200;
    std::string body;
    std::string_view media = "application/json";
    std::optional<Refusal> refusal = std::nullopt;
    bool part = false;  // of a change that was logged already
  };
  using Handler = Task<Answer> (RecordsRoom::*)(Ask, Deadline&);
  struct Operation {
    Route route;
    Handler handler;
  };

  // All must outlive it.
  RecordsRoom(const Records& records, Program& program, gateway::House& house);

  static std::span<const Operation> operations();

  // What an error of the database, or a refusal of the office, is to a client.
  static Answer failed(const Error& error);

  Task<Answer> list_keys(Ask ask, Deadline& deadline);
  Task<Answer> create_key(Ask ask, Deadline& deadline);
  Task<Answer> show_key(Ask ask, Deadline& deadline);
  Task<Answer> update_key(Ask ask, Deadline& deadline);
  Task<Answer> revoke_key(Ask ask, Deadline& deadline);
  Task<Answer> rotate_key(Ask ask, Deadline& deadline);
  Task<Answer> list_tenants(Ask ask, Deadline& deadline);
  Task<Answer> create_tenant(Ask ask, Deadline& deadline);
  Task<Answer> show_tenant(Ask ask, Deadline& deadline);
  Task<Answer> update_tenant(Ask ask, Deadline& deadline);
  Task<Answer> delete_tenant(Ask ask, Deadline& deadline);
  Task<Answer> list_audit(Ask ask, Deadline& deadline);
  // usage.cc
  Task<Answer> usage(Ask ask, Deadline& deadline);
  Task<Answer> engagement(Ask ask, Deadline& deadline);
  // incidents.cc
  Task<Answer> take_alerts(Ask ask, Deadline& deadline);
  Task<Answer> list_incidents(Ask ask, Deadline& deadline);
  // budgets.cc
  Task<Answer> budgets(Ask ask, Deadline& deadline);
  // warm.cc
  Task<Answer> warm(Ask ask, Deadline& deadline);
  Task<Answer> show_warming(Ask ask, Deadline& deadline);
  Task<Answer> stop_warming(Ask ask, Deadline& deadline);
  // cache.cc
  Task<Answer> purge(Ask ask, Deadline& deadline);
  Task<Answer> list_entries(Ask ask, Deadline& deadline);
  Task<Answer> show_features(Ask ask, Deadline& deadline);
  Task<Answer> set_feature(Ask ask, Deadline& deadline);

 private:
  // Into the audit log, as far as the database takes it: what was done is done.
  Task<void> write_down(const Ask& ask, std::string action, std::string object, std::string detail,
                        Deadline& deadline);
  // Made once the secret is known; null: the database could not be asked for it.
  Task<Result<access::Office*>> office(Deadline& deadline);
  access::Actor actor(const Ask& ask) const { return {ask.who, node_}; }

  const Records lent_;
  Program& program_;
  gateway::House& house_;
  Random random_;
  std::unique_ptr<access::Office> office_;
  const std::string node_;
};

}  // namespace penstock::admin
