// Every refusal of the gateway's own: the one table that answers to clients take their status, type
// and code from, and that docs/errors.md is written from.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "exchange/exchange.h"

namespace penstock {

// In the order of the table: by status.
enum class Reason : std::uint8_t {
  invalid_http,
  invalid_json,
  duplicate_member,
  missing_required_parameter,
  invalid_type,
  invalid_value,
  empty_string,
  empty_array,
  string_above_max_length,
  integer_below_min_value,
  integer_above_max_value,
  unknown_field,
  unknown_member,
  invalid_content_encoding,
  invalid_api_key,
  invalid_admin_token,
  model_not_allowed,
  not_allowed,
  origin_not_allowed,
  unknown_url,
  model_not_found,
  not_found,
  metrics_off,
  profiling_off,
  method_not_allowed,
  request_timeout,
  client_too_slow,
  reload_refused,
  conflict,
  request_too_large,
  unsupported_content_type,
  unsupported_content_encoding,
  expectation_failed,
  rate_limit_exceeded,
  insufficient_quota,
  header_too_large,
  client_left,
  internal_error,
  not_implemented,
  engine_error,
  engine_credentials_refused,
  engine_unavailable,
  overloaded,
  keys_unavailable,
  limits_unavailable,
  store_unavailable,
  shutting_down,
  engine_timeout,
  not_cached,
  http_version_not_supported,
};

// What is known of a reason. `messages` are those that it comes with, one a line; what differs from
// one to the other stands there as <name>.
struct ReasonFacts {
  Reason reason;
  int status;
  std::string_view type;
  std::string_view code;
  std::string_view messages;
  std::string_view cause;
  std::string_view cure;
};

std::span<const ReasonFacts> reasons();
const ReasonFacts& facts_of(Reason reason);

// The reason of a message that HTTP itself refuses with `status`.
Reason reason_of_http(int status);

// REQUIRES: `message` is one of the reason's.
Refusal refusal(Reason reason, std::string message, std::string param = {});
// No engine has a model of this name.
Refusal unknown_model(std::string_view model);

}  // namespace penstock
