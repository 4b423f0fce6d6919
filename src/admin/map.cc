// The service map as it is told: in JSON, and for Graphviz.
#include <fmt/format.h>

#include "admin/body.h"
#include "admin/desk.h"
#include "dialect/json.h"
#include "exchange/refusals.h"

namespace penstock::admin {
namespace {

// Between quotes in DOT, which knows no other escapes.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string_view shape_of(std::string_view kind) {
  if (kind == "clients") return "ellipse";
  return kind == "database" || kind == "redis" ? "cylinder" : "box";
}

// Three digits, and no exponent.
std::string short_text(double value) {
  return value < 100 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

std::string edge_label(const Edge& edge) {
  std::string text = fmt::format("{}\\n{}/s", edge.what, short_text(edge.per_second));
  if (edge.errors_ratio > 0) text += fmt::format(", {:.3g}% failed", 100 * edge.errors_ratio);
  if (edge.p95_ms) {
    text +=
        fmt::format("\\np50 {} ms, p95 {} ms", short_text(*edge.p50_ms), short_text(*edge.p95_ms));
  }
  return text;
}

}  // namespace

std::string map_json(const ServiceMap::Drawn& map) {
  std::string out;
  dialect::JsonWriter json(out);
  const auto optional = [&](std::string_view name, const std::optional<double>& value) {
    if (value) {
      json.member(name, *value);
    } else {
      json.member_null(name);
    }
  };
  json.begin_object().member("window_seconds", map.seconds).key("nodes").begin_array();
  for (const Node& node : map.nodes) {
    json.begin_object().member("id", node.id).member("kind", node.kind).member("name", node.name);
    if (node.healthy) {
      json.member("healthy", *node.healthy);
    } else {
      json.member_null("healthy");
    }
    json.end_object();
  }
  json.end_array().key("edges").begin_array();
  for (const Edge& edge : map.edges) {
    json.begin_object().member("from", edge.from).member("to", edge.to).member("what", edge.what);
    json.member("per_second", edge.per_second).member("errors_ratio", edge.errors_ratio);
    optional("mean_ms", edge.mean_ms);
    optional("p50_ms", edge.p50_ms);
    optional("p95_ms", edge.p95_ms);
    optional("p99_ms", edge.p99_ms);
    json.end_object();
  }
  json.end_array().end_object();
  return out;
}

std::string map_dot(const ServiceMap::Drawn& map) {
  std::string out = fmt::format(
      "// Of the last {:.0f} seconds. dot -Tsvg map.dot > map.svg\n"
      "digraph penstock {{\n"
      "  rankdir=LR;\n"
      "  node [fontname=\"sans-serif\", style=filled, fillcolor=\"#f4f4f4\"];\n"
      "  edge [fontname=\"sans-serif\", fontsize=10];\n",
      map.seconds);
  for (const Node& node : map.nodes) {
    out += fmt::format("  {} [label={}, shape={}{}];\n", quoted(node.id), quoted(node.name),
                       shape_of(node.kind),
                       node.healthy && !*node.healthy ? ", fillcolor=\"#f4c7c3\"" : "");
  }
  for (const Edge& edge : map.edges) {
    // A route that nobody asked for says nothing; an engine that nobody asked is there.
    if (edge.per_second <= 0 && edge.errors_ratio <= 0 && edge.from == "clients") continue;
    std::string label = quoted(edge_label(edge));
    // The line's end is an escape of DOT's own.
    for (std::size_t at = label.find("\\\\n"); at != label.npos; at = label.find("\\\\n", at)) {
      label.erase(at, 1);
    }
    const std::string_view colour = edge.errors_ratio > 0.01 ? ", color=\"#c5221f\""
                                    : edge.per_second <= 0   ? ", color=\"#9e9e9e\", style=dashed"
                                                             : "";
    out += fmt::format("  {} -> {} [label={}{}];\n", quoted(edge.from), quoted(edge.to), label,
                       colour);
  }
  return out + "}\n";
}

// GET /admin/v1/map
void Admin::Desk::map(http::Request& request, http::Reply& reply) {
  const Result<Query, Refusal> query = read_query(request.head.query, "format");
  if (!query) return refuse_with(reply, query.error());
  const auto given = query->find("format");
  const std::string format = given == query->end() ? "json" : given->second;
  if (format != "json" && format != "dot") {
    return refuse_with(
        reply, refusal(Reason::invalid_value, "Invalid 'format': expected json or dot.", "format"));
  }
  const ServiceMap::Drawn drawn = map_.draw(Clock::now());
  if (format == "json") return json(reply, 200, map_json(drawn));
  begin(reply, 200, "text/vnd.graphviz");
  reply.field("cache-control", "no-store");
  reply.finish(map_dot(drawn));
}

}  // namespace penstock::admin
