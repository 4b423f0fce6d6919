// What the admin listener answers. One table of routes; the OpenAPI document is made from it.
#pragma once

#include "admin/admin.h"
#include "dialect/json.h"

namespace penstock::admin {

class Admin::Desk final : public http::Handler {
 public:
  Desk(Program& program, gateway::House& house, observe::Registry& registry, observe::Log& log,
       const settings::Settings& settings);

  bool answer_now(http::Request& request, http::Reply& reply) override;
  Task<void> serve(http::Request& request, http::Reply& reply, Deadline& deadline) override;
  void refuse(const http::BadMessage& bad, http::Reply& reply) override;

 private:
  using Handler = void (Desk::*)(http::Request&, http::Reply&);
  struct Route {
    std::string_view method;
    std::string_view path;
    std::string_view summary;
    std::string_view answers;  // what a 200 holds
    bool open;                 // served without the token: health, metrics, the page
    Handler handler;
  };
  static const std::vector<Route>& routes();
  friend std::string openapi(std::string_view metrics_path);

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

  bool alive() const;
  void health_word(http::Reply& reply, bool good);
  void write_models(dialect::JsonWriter& json);
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
  std::string scratch_;
};

// The admin API in OpenAPI 3.1.
std::string openapi(std::string_view metrics_path);

extern const std::string_view kPage;  // page.cc
extern const std::string_view kScript;

}  // namespace penstock::admin
