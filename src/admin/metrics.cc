// /metrics, and what the admin listener counts of itself.

#include "admin/desk.h"
#include "exchange/refusals.h"

namespace penstock::admin {
namespace {

observe::Counter admin_auth(observe::Registry& registry, const char* result) {
  return registry.shard(registry.shards() - 1)
      .counter("penstock_auth_requests_total",
               "Requests by how they said who asks, and what came of it.",
               {{"method", "admin_token"}, {"result", result}});
}

}  // namespace

Admin::Desk::Counts::Counts(observe::Registry& registry)
    : render_time(registry.shard(registry.shards() - 1)
                      .gauge("penstock_metrics_render_duration_seconds",
                             "How long the last answer with metrics took to write.", {})),
      success(admin_auth(registry, "success")),
      missing(admin_auth(registry, "missing")),
      invalid(admin_auth(registry, "invalid")) {}

void Admin::declare(observe::Registry& registry) {
  const Desk::Counts counts(registry);
  static_cast<void>(counts);
}

void Admin::Desk::metrics(http::Request& request, http::Reply& reply) {
  if (!house_.in_force.prometheus_metrics) {
    return refuse_with(reply, refusal(Reason::metrics_off,
                                      "The metrics are turned off: by PROMETHEUS_METRICS_ENABLED, "
                                      "features.prometheus_metrics, or the admin API's switch."));
  }
  const observe::Format format = observe::choose_format(request.head.find("accept"));
  scratch_.clear();
  const Time before = Clock::now();
  registry_.render(scratch_, format);
  counts_.render_time.set(std::chrono::duration<double>(Clock::now() - before).count());
  begin(reply, 200, observe::content_type(format));
  reply.finish(scratch_);
}

}  // namespace penstock::admin
