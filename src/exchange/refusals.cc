#include "exchange/refusals.h"

#include <utility>

namespace penstock {
namespace {

constexpr std::string_view kInvalid = "invalid_request_error";
constexpr std::string_view kServer = "server_error";

constexpr std::array kReasons = {
    // ---- 400: what was sent means nothing ----
    ReasonFacts{.reason = Reason::invalid_http,
                .status = 400,
                .type = kInvalid,
                .code = "invalid_http",
                .messages = "The request line does not begin with a method.\n"
                            "A byte in the request target that is not allowed.\n"
                            "The request target is not usable.\n"
                            "The request line does not end in a version.\n"
                            "The request line does not end in CR LF.\n"
                            "A field without a name.\n"
                            "A field name with a character that is not allowed.\n"
                            "White space before the colon of a field.\n"
                            "A folded field line.\n"
                            "A control byte in a field value.\n"
                            "A bare CR in the head.\n"
                            "A bare LF in the head.\n"
                            "No Host field.\n"
                            "Host is not one plain name.\n"
                            "Content-Length is not one plain number.\n"
                            "Transfer-Encoding together with Content-Length.\n"
                            "Transfer-Encoding on HTTP/1.0.\n"
                            "Transfer-Encoding more than once.\n"
                            "Transfer-Encoding names chunked more than once.\n"
                            "Transfer-Encoding does not end in chunked.\n"
                            "The chunked body is malformed.",
                .cause = "The bytes are no HTTP/1.1 request, or one that two programs could read "
                         "differently (RFC 9112). The connection is closed. TLS spoken to this "
                         "port is the first of these.",
                .cure = "Use a client that writes correct HTTP, and `http://` in its URL. Where a "
                        "proxy stands between, it is the proxy that wrote this: look at how it "
                        "rewrites fields and targets (no `..`, no `//` in a path)."},
    ReasonFacts{
        .reason = Reason::invalid_json,
        .status = 400,
        .type = kInvalid,
        .code = "invalid_json",
        .messages = "The body is not valid JSON: <what>, at byte <number>.\n"
                    "The body is not valid JSON.\n"
                    "The body is empty; it must be a JSON object.\n"
                    "The body must be a JSON object.\n"
                    "The body has more than <number> members.",
        .cause = "The body is no JSON object (RFC 8259); the byte, counted from 0, is where it "
                 "stops being one.",
        .cure = "Send what a JSON library writes, in UTF-8, without a comma behind the last member "
                "and without a byte order mark. With curl put the body in single quotes."},
    ReasonFacts{.reason = Reason::duplicate_member,
                .status = 400,
                .type = kInvalid,
                .code = "duplicate_member",
                .messages = "The body is ambiguous: an object names its member '<name>' twice, "
                            "again at byte <number>.\n"
                            "The body is ambiguous: it names the member '<name>' twice.\n"
                            "The parameter '<name>' is given twice.",
                .cause = "One object has two members of one name. The gateway could read the one "
                         "and the engine the other.",
                .cure = "Send each member once."},
    ReasonFacts{.reason = Reason::missing_required_parameter,
                .status = 400,
                .type = kInvalid,
                .code = "missing_required_parameter",
                .messages = "Missing required parameter: '<param>'.\n"
                            "The request names no model, and there is not exactly one engine it "
                            "could go to; name one in `model`.",
                .cause = "The request lacks what it cannot be answered without; `param` names it.",
                .cure = "Put it into the body. `GET /v1/models` lists what `model` may be."},
    ReasonFacts{.reason = Reason::invalid_type,
                .status = 400,
                .type = kInvalid,
                .code = "invalid_type",
                .messages = "Invalid type for '<param>': expected <what>, but got <what> instead.",
                .cause = "A parameter is of another JSON type than OpenAI's API says.",
                .cure = "Send the type that the message names: `0.7` and not `\"0.7\"`, `true` and "
                        "not `\"true\"`."},
    ReasonFacts{.reason = Reason::invalid_value,
                .status = 400,
                .type = kInvalid,
                .code = "invalid_value",
                .messages = "Invalid 'model': it has a control character in it.\n"
                            "The 'stream_options' parameter is only allowed when 'stream' is "
                            "enabled.\n"
                            "The level is debug, info, warn or error.\n"
                            "Invalid '<param>': expected <what>.\n"
                            "The name must have 1 to 100 bytes and no control characters.\n"
                            "A model's name must have 1 to 256 bytes.\n"
                            "There are more than 100 models.\n"
                            "A key belongs to a tenant.\n"
                            "A tenant's name has 1 to 64 letters, digits and . _ @ -, and begins "
                            "with a letter or digit.\n"
                            "The grace is a time of at most 90d.",
                .cause = "A value has no meaning there. From the third on they are the admin "
                         "API's.",
                .cure = "Send what the message says; leave `stream_options` out of a request that "
                        "is not streamed."},
    ReasonFacts{.reason = Reason::empty_string,
                .status = 400,
                .type = kInvalid,
                .code = "empty_string",
                .messages = "Invalid 'model': empty string. Expected the name of a model.\n"
                            "Invalid 'input': empty string. Expected some text.",
                .cause = "A text that must say something is empty: often a variable of the "
                         "application that is not set.",
                .cure = "Fill it in."},
    ReasonFacts{.reason = Reason::empty_array,
                .status = 400,
                .type = kInvalid,
                .code = "empty_array",
                .messages = "Invalid '<param>': empty array. Expected an array with minimum length "
                            "1, but got an empty array instead.",
                .cause = "There is no message, or no input, in the list.",
                .cure = "Send at least one."},
    ReasonFacts{
        .reason = Reason::string_above_max_length,
        .status = 400,
        .type = kInvalid,
        .code = "string_above_max_length",
        .messages = "Invalid 'model': string too long. Expected a string with maximum length "
                    "<number>, but got a string with length <number> instead.",
        .cause = "No model has a name that long; a text was probably put in the wrong member.",
        .cure = "Name a model that `GET /v1/models` lists."},
    ReasonFacts{.reason = Reason::integer_below_min_value,
                .status = 400,
                .type = kInvalid,
                .code = "integer_below_min_value",
                .messages = "Invalid '<param>': integer below minimum value. Expected a value >= "
                            "<number>, but got <number> instead.",
                .cause = "A number is too small.",
                .cure = "Send one that the message allows, or leave the parameter out."},
    ReasonFacts{.reason = Reason::integer_above_max_value,
                .status = 400,
                .type = kInvalid,
                .code = "integer_above_max_value",
                .messages = "Invalid '<param>': integer above maximum value. Expected a value <= "
                            "<number>, but got <number> instead.",
                .cause = "A number is too large.",
                .cure = "Send one that the message allows, or leave the parameter out."},
    ReasonFacts{.reason = Reason::unknown_field,
                .status = 400,
                .type = kInvalid,
                .code = "unknown_field",
                .messages = "There is no request field <field> here.",
                .cause = "A field of the request begins with `x-penstock-`: those are the "
                         "gateway's own, and it knows none of this name in requests. None chooses "
                         "an engine or an address.",
                .cure = "Leave it out. What a request may say stands in docs/engines.md and "
                        "docs/cache.md."},
    ReasonFacts{.reason = Reason::unknown_member,
                .status = 400,
                .type = kInvalid,
                .code = "unknown_member",
                .messages = "There is no member '<name>' here.\n"
                            "There is no parameter '<name>' here.",
                .cause = "A body or a query of the admin API, or of feedback, says something that "
                         "the operation does not take: it is misspelt, or belongs to another.",
                .cure = "Leave it out, or write it as `/admin/v1/openapi.json` has it. Feedback "
                        "takes request_id, rating, comment and model."},
    ReasonFacts{.reason = Reason::invalid_content_encoding,
                .status = 400,
                .type = kInvalid,
                .code = "invalid_content_encoding",
                .messages = "The body is not one whole member of gzip.\n"
                            "The body is not one whole stream of zlib.",
                .cause = "`content-encoding` says that the body is compressed, and it is not, is "
                         "cut off, or is followed by something else.",
                .cure = "Send what a gzip library writes, once, or the body as it is without the "
                        "field."},
    // ---- 401 to 417: what was sent is understood, and not done ----
    ReasonFacts{
        .reason = Reason::invalid_api_key,
        .status = 401,
        .type = kInvalid,
        .code = "invalid_api_key",
        .messages = "No API key was sent: send it as `Authorization: Bearer KEY`.\n"
                    "The API key is not known here.\n"
                    "The API key has expired.\n"
                    "The API key was revoked.\n"
                    "No token was sent: send it as `Authorization: Bearer TOKEN`.\n"
                    "The token is not accepted: <reason>.",
        .cause = "`auth.mode` is keys or jwt, and the request has no credential, or one that is "
                 "not good (any more). A key that lacks a character is not known. A token is not "
                 "accepted where its signature, issuer, audience or time is not what it must be; "
                 "the message says which.",
        .cure = "Send a key that `penstock keys create` printed, as OpenAI's SDKs send their "
                "`api_key`, or a fresh token of the identity provider. `penstock keys list` shows "
                "which keys there are, and whether they are in force."},
    ReasonFacts{
        .reason = Reason::invalid_admin_token,
        .status = 401,
        .type = "authentication_error",
        .code = "invalid_admin_token",
        .messages = "The admin API needs `Authorization: Bearer` with admin.token.\n"
                    "The admin token is wrong.",
        .cause = "The admin listener has a token, and the request has none or another.",
        .cure = "Send `Authorization: Bearer TOKEN` with the value of `admin.token`. The log says "
                "from where such requests came."},
    ReasonFacts{.reason = Reason::model_not_allowed,
                .status = 403,
                .type = "permission_error",
                .code = "model_not_allowed",
                .messages = "This API key may not use the model `<model>`.",
                .cause = "The key, or its tenant, has a list of models, and this one is not in it.",
                .cure = "Ask one that `GET /v1/models` lists for this key. The operator can change "
                        "the list with `penstock keys update` or `tenants[].models`."},
    ReasonFacts{.reason = Reason::not_allowed,
                .status = 403,
                .type = "permission_error",
                .code = "not_allowed",
                .messages = "Requests of other web pages are not served here.\n"
                            "Use an IP address or localhost as the host, or set admin.token.",
                .cause = "The admin listener protects itself from web pages that a browser of the "
                         "operator has open: a request came from another page, or with a host name "
                         "that such a page could have made point here.",
                .cure = "Open the status page by IP address or as localhost; from elsewhere, set "
                        "`admin.token` and send it."},
    ReasonFacts{.reason = Reason::origin_not_allowed,
                .status = 403,
                .type = "permission_error",
                .code = "origin_not_allowed",
                .messages = "Pages of this origin may not ask here: it is not in "
                            "listen.cors.origins.",
                .cause = "A browser asked on behalf of a web page whether it may ask, and the "
                         "page's origin is not listed.",
                .cure = "Add the origin, as the browser writes it (`https://app.example`), to "
                        "`listen.cors.origins`."},
    ReasonFacts{.reason = Reason::unknown_url,
                .status = 404,
                .type = kInvalid,
                .code = "unknown_url",
                .messages =
                    "There is nothing at <path>; the API is under /v1/, and a client's base "
                    "URL ends in /v1.\n"
                    "There is nothing here; /admin/v1/openapi.json says what there is.",
                .cause = "The path is none of the API's, or, on the admin listener, none of its. "
                         "Most often the base URL of a client lacks its `/v1`.",
                .cure = "Set the client's base URL to `http://HOST:PORT/v1`. Metrics and the admin "
                        "API are on the admin listener's port."},
    ReasonFacts{.reason = Reason::model_not_found,
                .status = 404,
                .type = kInvalid,
                .code = "model_not_found",
                .messages = "The model `<model>` does not exist; GET /v1/models lists those that "
                            "do.",
                .cause = "No entry of `models` has this name or alias, and no engine takes every "
                         "name.",
                .cure = "Ask for a model that `GET /v1/models` lists. The operator can add the "
                        "name below `models`, as a model or among the `aliases` of one, or let an "
                        "engine take every name with the model `*`."},
    ReasonFacts{
        .reason = Reason::not_found,
        .status = 404,
        .type = kInvalid,
        .code = "not_found",
        .messages = "There is no key <id>.\n"
                    "There is no tenant <name>.",
        .cause = "The admin API was asked for a key or a tenant that is not in the database. A "
                 "tenant that only stands in the configuration is not there either.",
        .cure = "`penstock keys list` and `penstock tenants list` show what there is; `penstock "
                "tenants create` makes a tenant."},
    ReasonFacts{.reason = Reason::metrics_off,
                .status = 404,
                .type = kInvalid,
                .code = "metrics_off",
                .messages = "The metrics are turned off: by PROMETHEUS_METRICS_ENABLED, "
                            "features.prometheus_metrics, or the admin API's switch.",
                .cause = "The admin listener was asked for the metrics, and an operator has turned "
                         "them off. Prometheus takes the gateway for down meanwhile.",
                .cure = "`GET /admin/v1/features` says who turned them off: `configured` is the "
                        "environment's or the file's word, `set` the admin API's. `PUT "
                        "/admin/v1/features/prometheus_metrics` with `{\"enabled\": true}` turns "
                        "them on."},
    ReasonFacts{.reason = Reason::profiling_off,
                .status = 404,
                .type = kInvalid,
                .code = "profiling_off",
                .messages = "Profiles are turned off: by admin.profiling.\n"
                            "There is no profile of the heap: <reason>.",
                .cause =
                    "The admin listener was asked for a profile, and `admin.profiling` is false. "
                    "Of the heap there is none in a build with a sanitizer, nor where there was "
                    "no memory for its table at the start.",
                .cure = "Set `admin.profiling: true` and start the gateway again."},
    ReasonFacts{.reason = Reason::method_not_allowed,
                .status = 405,
                .type = kInvalid,
                .code = "method_not_allowed",
                .messages = "Method <method> is not for <path>; it takes <methods>.",
                .cause = "The path exists, but not for this method: a browser sends GET, questions "
                         "are sent with POST.",
                .cure = "Use a method that the message and the field `allow` name. To look at the "
                        "API in a browser, open `/v1/models`."},
    ReasonFacts{
        .reason = Reason::request_timeout,
        .status = 408,
        .type = kInvalid,
        .code = "request_timeout",
        .messages =
            "No whole head came within listen.limits.first_header (<time>).\n"
            "No whole head came within <time>.\n"
            "The body did not come in time: nothing for listen.limits.body (<time>), or "
            "less than 1KiB a second.\n"
            "The body did not come in time: nothing for <time>, or less than 1KiB a second.",
        .cause = "The client began a request and did not go on, or said that its body is longer "
                 "than it is. The connection is closed.",
        .cure = "Look at the client and the network between. A client that opens connections ahead "
                "of their use can just open another. The operator can raise the limit that is "
                "named; the admin listener has its own."},
    ReasonFacts{.reason = Reason::client_too_slow,
                .status = 408,
                .type = kInvalid,
                .code = "client_too_slow",
                .messages = "The client was too slow for an answer that others wait for.",
                .cause = "Several clients read one answer of an engine, and this one took it so "
                         "slowly that it would have held the others back. Comes as the last event "
                         "of a stream.",
                .cure = "Read the stream faster, or ask again: the answer is probably kept by "
                        "then. With `cache.coalesce: false` every client has a call of its own."},
    ReasonFacts{
        .reason = Reason::reload_refused,
        .status = 409,
        .type = kInvalid,
        .code = "reload_refused",
        .messages = "Not reloaded: <problem>",
        .cause = "The admin API was asked to read the configuration again, and there is "
                 "something wrong with it. Nothing has changed. `problems` lists all that "
                 "was found.",
        .cure = "Mend the file, `penstock check FILE` until it is good, then reload again."},
    ReasonFacts{.reason = Reason::conflict,
                .status = 409,
                .type = kInvalid,
                .code = "conflict",
                .messages = "There is a tenant <name> already.\n"
                            "The key <id> is revoked.\n"
                            "The key <id> has expired.\n"
                            "The key <id> was rotated already, to <id>.\n"
                            "The cache is being warmed already.\n"
                            "This warming has ended.",
                .cause = "What the admin API was asked to change is not in a state in which it can "
                         "be changed so.",
                .cure = "Look at it first: `GET` of the same path. For a key that is revoked or "
                        "has expired make another. A warming is stopped by `DELETE`."},
    ReasonFacts{
        .reason = Reason::request_too_large,
        .status = 413,
        .type = kInvalid,
        .code = "request_too_large",
        .messages = "The body is larger than listen.limits.body_bytes (<size>).\n"
                    "The decoded body is larger than listen.limits.body_bytes (<size>).\n"
                    "The body is larger than <size>.",
        .cause = "The body is over the limit that is named; the second is the admin listener's, "
                 "which needs none.",
        .cure = "Send less: images by URL, fewer texts for embeddings at a time. The operator can "
                "raise `listen.limits.body_bytes`."},
    ReasonFacts{.reason = Reason::unsupported_content_type,
                .status = 415,
                .type = kInvalid,
                .code = "unsupported_content_type",
                .messages = "The body's content-type must be application/json.",
                .cause = "The request says that its body is something else, or not what it is.",
                .cure = "Send `content-type: application/json`; with curl add "
                        "`-H 'content-type: application/json'`."},
    ReasonFacts{.reason = Reason::unsupported_content_encoding,
                .status = 415,
                .type = kInvalid,
                .code = "unsupported_content_encoding",
                .messages = "The body's content-encoding is <encoding>; it may be one of "
                            "<encodings>, or none.\n"
                            "The body's content-encoding is not known; it may be one of "
                            "<encodings>, or none.",
                .cause = "The body is compressed in a way that is not taken, or twice.",
                .cure = "Compress it in one of those that the message and the field "
                        "`accept-encoding` of the answer name, or not at all."},
    ReasonFacts{.reason = Reason::expectation_failed,
                .status = 417,
                .type = kInvalid,
                .code = "expectation_failed",
                .messages = "An expectation other than 100-continue.",
                .cause = "The field `Expect` asks for something that HTTP/1.1 does not know.",
                .cure = "Leave the field out."},
    ReasonFacts{
        .reason = Reason::rate_limit_exceeded,
        .status = 429,
        .type = "rate_limit_error",
        .code = "rate_limit_exceeded",
        .messages =
            "Limit of requests reached for <owner>: <number> in <time>. Try again in <time>.\n"
            "Limit of tokens reached for <owner>: <number> in <time>, and this request may need "
            "<number>. Try again in <time>.\n"
            "This request may need <number> tokens, more than the limit of <owner> lets through at "
            "all: <number> in <time>.\n"
            "Limit of requests at a time reached for <owner>: <number>. Try again when one of them "
            "has ended.\n"
            "No requests are let through for <owner>: its limit is 0.",
        .cause = "More was asked than the limit of this key, tenant or model, or of all together, "
                 "allows. Tokens are counted ahead by the length of the question and `max_tokens`, "
                 "and what was not needed is given back.",
        .cure = "Wait as long as `retry-after` says (OpenAI's SDKs do so by themselves); the "
                "`x-ratelimit-*` fields of every answer say what is left. Set a smaller "
                "`max_tokens`. The operator can raise the limit: `penstock keys update`, "
                "`tenants[].limits`, `limits`."},
    ReasonFacts{.reason = Reason::insufficient_quota,
                .status = 429,
                .type = "insufficient_quota",
                .code = "insufficient_quota",
                .messages = "The budget of <owner> for the <period> is used up: <number>. It is "
                            "renewed in <time>.\n"
                            "What is left of the budget of <owner> for the <period>, <number>, is "
                            "less than this request may cost: <number>.",
                .cause = "What the answers of this key, tenant or model, or of all together, cost "
                         "has come to `spend.day` or `spend.month`. What is under way counts with "
                         "what it may cost at most. Answers out of the cache cost nothing and are "
                         "still given.",
                .cure = "Wait for midnight UTC, or for the next month; a smaller `max_tokens` may "
                        "still fit. The operator can raise the budget. SDKs do not try again by "
                        "themselves."},
    ReasonFacts{.reason = Reason::header_too_large,
                .status = 431,
                .type = kInvalid,
                .code = "header_too_large",
                .messages = "The head is larger than listen.limits.header_bytes (<size>).\n"
                            "The head is larger than <size>.\n"
                            "The head has more fields than listen.limits.headers (<number>).\n"
                            "The head has more than <number> fields.\n"
                            "The request line is longer than <size>.\n"
                            "A field line is longer than <size>.",
                .cause =
                    "Too many or too long header fields, or a too long URL: often cookies that "
                    "have piled up. The connection is closed.",
                .cure = "Send fewer. The operator can raise the limit that is named; a single line "
                        "has at most 8KiB whatever is set."},
    ReasonFacts{.reason = Reason::client_left,
                .status = 499,
                .type = kInvalid,
                .code = "client_left",
                .messages = "The client left.",
                .cause = "The client closed its connection before its answer was complete: it was "
                         "stopped, or its own time-out is shorter than the engine takes. Nobody is "
                         "told; it stands in logs and metrics.",
                .cure = "Raise the client's time-out, or let it ask for a stream."},
    // ---- 5xx: the question was good ----
    ReasonFacts{.reason = Reason::internal_error,
                .status = 500,
                .type = kServer,
                .code = "internal_error",
                .messages = "The gateway failed to answer this request.",
                .cause = "A fault of the gateway or of its machine: memory, disk.",
                .cure = "Look for the request's `x-request-id` in the gateway's log, and report "
                        "what stands there."},
    ReasonFacts{.reason = Reason::not_implemented,
                .status = 501,
                .type = kInvalid,
                .code = "not_implemented",
                .messages = "The method is not known.\n"
                            "A transfer coding other than chunked.",
                .cause = "HTTP that this gateway does not speak. The connection is closed.",
                .cure = "Send the body with `Content-Length` or as plain `chunked`."},
    ReasonFacts{
        .reason = Reason::engine_error,
        .status = 502,
        .type = kServer,
        .code = "engine_error",
        .messages = "Engine <engine>: its answer is not JSON.\n"
                    "Engine <engine>: its stream ended without [DONE].\n"
                    "Engine <engine>: it answered with a redirect, and redirects are not followed; "
                    "mend its url.\n"
                    "Engine <engine>: its answer is encoded, which was not asked for.\n"
                    "Engine <engine>: the engine closed the connection without an answer.\n"
                    "Engine <engine>: the engine closed the connection within its answer's head.\n"
                    "Engine <engine>: the engine's answer was cut short.\n"
                    "Engine <engine>: the engine's answer is malformed: <what>.\n"
                    "Engine <engine>: <what>.",
        .cause = "The engine took the question and broke while it answered, or what answers at "
                 "its URL is no OpenAI-compatible API. Comes as the last event of a stream that "
                 "had begun; a plain answer that had begun is cut off.",
        .cure = "Ask again. If it stays so, ask the engine directly: `curl URL/models` with the "
                "`url` of `engines[]`; is its path right (mostly `/v1`), and what says the "
                "engine's own log?"},
    ReasonFacts{.reason = Reason::engine_credentials_refused,
                .status = 502,
                .type = kServer,
                .code = "engine_credentials_refused",
                .messages = "Engine <engine> refused the gateway's credentials.",
                .cause = "The engine answered with 401 or 403 to the gateway's own key. A client's "
                         "key never reaches an engine.",
                .cure = "The operator sets the engine's `api_key` (and `auth`, how it is sent) to "
                        "one that is valid; without a file that is OPENAI_API_KEY."},
    ReasonFacts{.reason = Reason::engine_unavailable,
                .status = 503,
                .type = kServer,
                .code = "engine_unavailable",
                .messages = "Engine <engine> cannot be reached.",
                .cause = "Nothing listens at the engine's URL, its name has no address, its "
                         "certificate is not accepted, or the folder of documents cannot be read. "
                         "Nothing was sent.",
                .cure =
                    "Ask again later. The operator finds the address and the reason in the log: "
                    "`an engine did not answer`."},
    ReasonFacts{.reason = Reason::overloaded,
                .status = 503,
                .type = kServer,
                .code = "overloaded",
                .messages =
                    "The gateway is at its limit: all connections to engine <engine> are in "
                    "use.\n"
                    "The gateway is at its limit: engine <engine>: too many questions wait "
                    "for the documents.\n"
                    "There is no memory left for the body.\n"
                    "There is no memory left for more questions.",
                .cause = "More questions at a time than the engine may be sent, and none ended in "
                         "the time that this one had. Or the program is near `memory.limit`: then "
                         "large bodies are refused first, and questions of keys of priority batch.",
                .cure = "Ask again later. The operator can raise `engines[].connections.max`, if "
                        "the engine can take more, or `memory.limit`; a smaller cache or smaller "
                        "`listen.limits.body_bytes` leave more room."},
    ReasonFacts{.reason = Reason::keys_unavailable,
                .status = 503,
                .type = kServer,
                .code = "keys_unavailable",
                .messages = "The credential cannot be checked now.",
                .cause = "A key that this gateway has not seen before must be looked up in the "
                         "database, or a token's signature needs the identity provider's keys, and "
                         "they cannot be had. Keys that are known go on.",
                .cure = "Ask again later. The operator sees why in the log, and in `/health`."},
    ReasonFacts{.reason = Reason::limits_unavailable,
                .status = 503,
                .type = kServer,
                .code = "limits_unavailable",
                .messages = "What was spent cannot be known now, and <owner> has a budget.",
                .cause = "A budget is never overdrawn for want of knowledge: what was spent so far "
                         "is in the database, or in Redis where nodes share it, and it cannot be "
                         "reached. Without a budget limits go on.",
                .cure = "Ask again later. The operator sees why in the log, and in `/health`."},
    ReasonFacts{.reason = Reason::store_unavailable,
                .status = 503,
                .type = kServer,
                .code = "store_unavailable",
                .messages = "The database cannot be asked now.",
                .cause =
                    "The admin API and feedback ask the database, which is away, is overloaded or "
                    "refuses. Known keys go on, and what is used is counted and written later.",
                .cure = "Ask again later. `/health` and the log say what is wrong with it."},
    ReasonFacts{.reason = Reason::shutting_down,
                .status = 503,
                .type = kServer,
                .code = "shutting_down",
                .messages = "The gateway is stopping.",
                .cause = "The gateway was asked to end, and the answer was not complete within "
                         "`listen.limits.drain`. Comes as the last event of a stream that had "
                         "begun.",
                .cure = "Ask again: another gateway, or this one once it is back. The operator can "
                        "raise `listen.limits.drain` to what the longest answers take."},
    ReasonFacts{
        .reason = Reason::engine_timeout,
        .status = 504,
        .type = kServer,
        .code = "engine_timeout",
        .messages = "Engine <engine> did not end its answer within timeout.total.\n"
                    "Engine <engine> did not end its answer within the time that the client "
                    "gave it.\n"
                    "Engine <engine>: its first token did not come in "
                    "timeout.first_token.\n"
                    "Engine <engine>: it sent nothing for timeout.between_tokens.",
        .cause = "The engine is too slow: overloaded, or stuck. The time that a client "
                 "gives is in `x-request-timeout-ms`, or in the SDKs' "
                 "`x-stainless-timeout`.",
        .cure = "Ask for a stream, or for less (`max_tokens`). The operator can raise the "
                "time that is named, below `engines[].timeout`."},
    ReasonFacts{.reason = Reason::not_cached,
                .status = 504,
                .type = kInvalid,
                .code = "not_cached",
                .messages = "This question has no answer in the cache, and no engine was to be "
                            "asked (cache-control: only-if-cached).",
                .cause = "`cache-control: only-if-cached`, where the answer is not kept, not any "
                         "more, or not of that age (`max-age`).",
                .cure = "Ask without `only-if-cached`, and an engine answers."},
    ReasonFacts{.reason = Reason::http_version_not_supported,
                .status = 505,
                .type = kInvalid,
                .code = "http_version_not_supported",
                .messages = "The HTTP version is not 1.0 or 1.1.",
                .cause = "The client speaks HTTP/2 without having asked, or HTTP/0.9.",
                .cure = "Let it speak HTTP/1.1; with curl that is `--http1.1`, in a proxy the "
                        "version towards its upstream."},
};

// A row is found by its place.
constexpr bool in_order() {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (kReasons[i].reason != static_cast<Reason>(i)) return false;
  }
  return kReasons.back().reason == Reason::http_version_not_supported;
}
static_assert(in_order());

}  // namespace

std::span<const ReasonFacts> reasons() { return kReasons; }

const ReasonFacts& facts_of(Reason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

Reason reason_of_http(int status) {
  switch (status) {
    case 408: return Reason::request_timeout;
    case 413: return Reason::request_too_large;
    case 417: return Reason::expectation_failed;
    case 431: return Reason::header_too_large;
    case 501: return Reason::not_implemented;
    case 503: return Reason::overloaded;
    case 505: return Reason::http_version_not_supported;
    default: return Reason::invalid_http;
  }
}

Refusal refusal(Reason reason, std::string message, std::string param) {
  const ReasonFacts& facts = facts_of(reason);
  Refusal refusal;
  refusal.status = facts.status;
  refusal.type = facts.type;
  refusal.code = facts.code;
  refusal.message = std::move(message);
  refusal.param = std::move(param);
  return refusal;
}

Refusal unknown_model(std::string_view model) {
  return refusal(
      Reason::model_not_found,
      "The model `" + std::string(model) + "` does not exist; GET /v1/models lists those that do.",
      "model");
}

}  // namespace penstock
