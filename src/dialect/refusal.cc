#include "dialect/refusal.h"

#include "dialect/json.h"

namespace penstock::dialect {
namespace {

Refusal refuse(int status, std::string_view type, std::string_view code, std::string message) {
  Refusal refusal;
  refusal.status = status;
  refusal.type = type;
  refusal.code = code;
  refusal.message = std::move(message);
  return refusal;
}

std::string sentence(std::string_view text, std::string_view detail) {
  std::string message(text);
  if (!detail.empty()) {
    message += ": ";
    message += detail;
  }
  if (message.back() != '.') message += '.';
  return message;
}

constexpr std::string_view kInvalid = "invalid_request_error";
constexpr std::string_view kServer = "server_error";

// What a client did.
Refusal of_client(const Error& error) {
  switch (error.kind) {
    case Kind::too_large:
      return refuse(413, kInvalid, "request_too_large",
                    sentence("The request is too large", error.detail));
    case Kind::not_found:
      return refuse(404, kInvalid, "not_found", sentence("There is no such thing", error.detail));
    case Kind::refused:
      return refuse(403, "permission_error", "not_allowed", sentence("Not allowed", error.detail));
    case Kind::timeout:
      return refuse(408, kInvalid, "request_timeout",
                    sentence("The request did not come in time", error.detail));
    case Kind::exhausted:
      return refuse(429, "rate_limit_error", "rate_limit_exceeded",
                    sentence("Too many requests", error.detail));
    case Kind::cancelled:
    case Kind::unreachable:
    case Kind::broken:
      return refuse(499, kInvalid, "client_left", sentence("The client left", error.detail));
    case Kind::invalid:
    case Kind::internal: break;
  }
  return refuse(400, kInvalid, "invalid_request",
                sentence("The request is not valid", error.detail));
}

}  // namespace

void write_refusal(std::string& out, const Refusal& refusal) {
  JsonWriter json(out);
  const auto text_or_null = [&](std::string_view name, std::string_view text) {
    json.key(name);
    if (text.empty()) {
      json.null();
    } else {
      json.value(text);
    }
  };
  json.begin_object().key("error").begin_object();
  json.member("message", std::string_view(refusal.message));
  json.member("type", refusal.type);
  text_or_null("param", refusal.param);
  text_or_null("code", refusal.code);
  json.end_object().end_object();
}

void write_refusal_event(std::string& out, const Refusal& refusal) {
  out += "data: ";
  write_refusal(out, refusal);
  out += "\n\n";
}

Refusal refusal_of(const Error& error) {
  if (error.source == Source::client) return of_client(error);
  // What our own files and databases say is for our own logs.
  const bool inside = error.source == Source::store || error.kind == Kind::internal;
  const std::string_view detail = inside ? std::string_view() : std::string_view(error.detail);
  switch (error.kind) {
    case Kind::unreachable:
      return refuse(503, kServer, "engine_unavailable",
                    sentence("No engine could be reached", detail));
    case Kind::timeout:
      return refuse(504, kServer, "engine_timeout",
                    sentence("The answer did not come in time", detail));
    case Kind::cancelled:
      return refuse(503, kServer, "shutting_down", sentence("The gateway is stopping", detail));
    case Kind::exhausted:
      return refuse(503, kServer, "overloaded", sentence("The gateway is at its limit", detail));
    case Kind::invalid:
    case Kind::too_large:
    case Kind::not_found:
    case Kind::refused:
    case Kind::broken:
      if (error.source != Source::engine) break;
      return refuse(502, kServer, "engine_error", sentence("The engine's answer failed", detail));
    case Kind::internal: break;
  }
  return refuse(500, kServer, "internal_error",
                sentence("The gateway failed to answer this request", detail));
}

Refusal unknown_model(std::string_view model) {
  Refusal refusal = refuse(
      404, kInvalid, "model_not_found",
      "The model `" + std::string(model) + "` does not exist or you do not have access to it.");
  refusal.param = "model";
  return refusal;
}

}  // namespace penstock::dialect
