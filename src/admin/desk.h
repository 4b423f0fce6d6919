// What the admin listener answers. One table of routes; the OpenAPI document is made from it.
#pragma once

#include "admin/admin.h"
#include "admin/guard.h"
#include "admin/records.h"
#include "admin/route.h"
#include "admin/service_map.h"
#include "base/uuid.h"
#include "dialect/json.h"
#include "profile/profile.h"

namespace penstock::admin {

class Admin::Desk final : public http::Handler {
 public:
  friend class Admin;
  Desk(Program& program, gateway::House& house, observe::Registry& registry, observe::Log& log,
       const settings::Settings& settings);

  bool answer_now(http::Request& request, http::Reply& reply) override;
  Task<void> serve(http::Request& request, http::Reply& reply, Deadline& deadline) override;
  void refuse(const http::BadMessage& bad, const http::RequestHead& head,
              http::Reply& reply) override;

  // Logs refused tokens that were not told of yet, looks at what the map is drawn from; call it now
  // and then.
  void keep_house();

 private:
  using Handler = void (Desk::*)(http::Request&, http::Reply&);
  using Waiting = Task<void> (Desk::*)(http::Request&, http::Reply&, Deadline&);
  struct Served {
    Route route;
    Handler handler;
    Waiting waiting = nullptr;  // in the handler's place: of what takes its time
  };
  static const std::vector<Served>& served();
  // All that there is: this desk's, the metrics, and the records' room where there is a database.
  std::vector<const Route*> all_routes() const;
  // The admin API in OpenAPI 3.1. (openapi.cc)
  std::string openapi() const;

  void page(http::Request&, http::Reply& reply);
  void script(http::Request&, http::Reply& reply);
  void livez(http::Request&, http::Reply& reply);
  void readyz(http::Request&, http::Reply& reply);
  void startupz(http::Request&, http::Reply& reply);
  void health(http::Request&, http::Reply& reply);
  void metrics(http::Request& request, http::Reply& reply);
  void openapi_document(http::Request&, http::Reply& reply);
  void status(http::Request&, http::Reply& reply);
  void settings(http::Request&, http::Reply& reply);
  void models(http::Request&, http::Reply& reply);
  void cache(http::Request&, http::Reply& reply);
  void reload(http::Request& request, http::Reply& reply);
  void set_log_level(http::Request& request, http::Reply& reply);
  void map(http::Request& request, http::Reply& reply);
  // profiles.cc
  static std::vector<Served> profile_routes();
  bool profiling() const;
  Task<void> cpu_profile(http::Request& request, http::Reply& reply, Deadline& deadline);
  void heap_profile(http::Request& request, http::Reply& reply);
  void profiled_command_line(http::Request&, http::Reply& reply);
  void symbols(http::Request& request, http::Reply& reply);
  Task<void> symbols_of_body(http::Request& request, http::Reply& reply, Deadline&);
  void give_symbols(http::Reply& reply, std::string_view addresses);
  void give_profile(http::Reply& reply, const profile::Profile& profile, std::string_view format,
                    const std::string& title);
  // traces.cc
  void traces(http::Request& request, http::Reply& reply);
  void trace(http::Request& request, http::Reply& reply);

  const Served* served_at(const http::RequestHead& head) const;
  const RecordsRoom::Operation* operation_at(const http::RequestHead& head,
                                             std::string_view& object) const;
  std::string actor(http::Reply& reply) const;

  bool alive() const;
  void health_word(http::Reply& reply, bool good);
  void write_models(dialect::JsonWriter& json);
  void take_id(const http::RequestHead& head);
  void log_refused(std::uint64_t times);
  // Whether the request may go on; else it was refused.
  bool admit(const http::RequestHead& head, http::Reply& reply);
  // The beginning of every answer.
  void begin(http::Reply& reply, int status, std::string_view content_type);
  void json(http::Reply& reply, int status, std::string_view body);
  void refuse_with(http::Reply& reply, const Refusal& refusal);
  void log_change(const http::Request& request, http::Reply& reply, std::string_view what,
                  bool done);

  Program& program_;
  gateway::House& house_;
  observe::Registry& registry_;
  observe::Log& log_;
  const std::string token_;
  const std::string metrics_path_;
  const Served metrics_;
  std::unique_ptr<RecordsRoom> records_;  // null: no database
  struct Counts {
    explicit Counts(observe::Registry& registry);
    observe::Gauge render_time;
    observe::Counter success, missing, invalid;
  } counts_;
  ServiceMap map_;
  Refusals refusals_;
  std::string refused_peer_;  // the last one
  std::string_view refused_why_;
  Random random_;
  std::string request_id_;  // of the request being answered
  std::string scratch_;
};

extern const std::string_view kPage;  // page.cc
extern const std::string_view kScript;

}  // namespace penstock::admin
