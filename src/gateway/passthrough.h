// What the gateway reads of requests that it only passes on: paths, media types, the model.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dialect/question.h"
#include "exchange/exchange.h"
#include "http/head.h"
#include "http/inflate.h"

namespace penstock::gateway {

Endpoint endpoint_of(std::string_view path);

// The one coding that the body is in; nothing where it is plain. A 415 says what is taken.
Result<std::optional<http::Coding>, Refusal> body_coding(const http::RequestHead& head);

// application/json, with or without parameters, or another +json type.
bool is_json(std::string_view content_type);

// Fills the question from its plain body; `canonical` as QuestionReader has it. The refusal
// names what is wrong: the method, the media type, the JSON, a parameter.
// REQUIRES: question.endpoint and body are set.
std::optional<Refusal> read_question(Question& question, const http::RequestHead& head,
                                     dialect::QuestionReader& reader, bool canonical);

// Finds the model of a request to any other /v1/*: in a JSON body, or in the `model` field of a
// multipart form (RFC 7578). None is no error: there may be one engine only.
std::optional<Refusal> read_passthrough(Question& question, dialect::QuestionReader& reader);

// The body of a multipart form with another name of its model, as the engine calls it; nothing
// where the form stays as it is, or where the body is none.
std::optional<std::string> form_with_model(const Question& question, std::string_view name);

// The value of a form's text field, or empty.
std::string_view multipart_field(std::string_view content_type, std::string_view body,
                                 std::string_view name);

// `allowed` is a literal: "GET, HEAD".
Refusal method_not_allowed(std::string_view method, std::string_view path,
                           std::string_view allowed);

// /livez, /readyz, /startupz, /health and their aliases.
bool health_path(std::string_view path);

}  // namespace penstock::gateway
