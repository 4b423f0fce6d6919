// Refusals as OpenAI words them: {"error": {"message", "type", "param", "code"}}, all four always.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "exchange/refusals.h"

namespace penstock::dialect {

// Appends the error object, the body of a refused request. An empty param or code is null.
void write_refusal(std::string& out, const Refusal& refusal);

// Appends the same as an event of a stream that cannot go on. No [DONE] follows it: OpenAI's SDKs
// raise on it, and nothing that was cut short may look complete.
void write_refusal_event(std::string& out, const Refusal& refusal);

// What the client is told when a step failed: 502 the engine broke, 503 none to be had, 504 late,
// 499 the client is not there any more (for logs). Details of the inside stay inside: a message
// repeats the error's detail only where the client or the engine is its source.
Refusal refusal_of(const Error& error);

// The body of an engine's refusal as OpenAI words it, with what is missing put in: the message from
// where engines have it (error.message, error, detail, message, or the text itself), the type by
// the status, null for the rest; further members of the error are kept. Nothing if it is complete.
std::optional<std::string> completed_refusal(std::string_view body, int status);

}  // namespace penstock::dialect
