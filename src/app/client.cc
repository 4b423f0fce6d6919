#include "app/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/help.h"
#include "app/shown.h"

namespace penstock::app {

Client::Client(std::string command, std::string url, std::string credential)
    : command_(std::move(command)), url_(std::move(url)), credential_(std::move(credential)) {}

std::unique_ptr<Client> Client::make(std::string command, std::string url, std::string credential,
                                     std::string_view option, int& code) {
  code = kBadUsage;
  if (url.ends_with("://")) {
    bad_usage(command, fmt::format("the URL {} has no host", visible(url)));
    return nullptr;
  }
  Result<http::Url> origin = http::parse_url(url);
  if (!origin) {
    bad_usage(command, visible(origin.error().detail));
    return nullptr;
  }
  const auto unfit = [](char c) { return c <= ' ' || c > '~'; };
  if (std::any_of(credential.begin(), credential.end(), unfit)) {  // it is a secret
    bad_usage(command, fmt::format("{} has a character that no key can have", option));
    return nullptr;
  }
  std::unique_ptr<Client> client(
      new Client(std::move(command), std::move(url), std::move(credential)));
  http::PoolOptions options;
  if (origin->path.ends_with("/v1")) origin->path.resize(origin->path.size() - 3);
  options.origin = *origin;
  if (origin->https) {
    Result<std::shared_ptr<net::TlsClient>> tls = net::TlsClient::make("", "http/1.1");
    if (!tls) {
      code = client->failed(tls.error());
      return nullptr;
    }
    options.tls = *tls;
  }
  client->pool_.emplace(client->loop_, std::move(options), http::PoolMetrics());
  code = kGood;
  return client;
}

std::string Client::fields() const {
  std::string text = "host: " + pool_->origin().authority() + "\r\n";
  if (!credential_.empty()) text += "authorization: Bearer " + credential_ + "\r\n";
  return text;
}

Result<Client::Reply> Client::ask(std::string_view method, std::string_view target,
                                  std::string_view body, std::string_view content_type,
                                  Duration patience) {
  std::string head =
      fmt::format("{} {}{} HTTP/1.1\r\n{}", method, pool_->origin().path, target, fields());
  if (method != "GET") head += fmt::format("content-length: {}\r\n", body.size());
  if (!content_type.empty()) head += fmt::format("content-type: {}\r\n", content_type);
  head += "\r\n";
  std::optional<Result<Reply>> result;
  const auto work = [](Client& client, std::string_view begin, std::string_view rest, Time until,
                       std::optional<Result<Reply>>& to) -> Task<void> {
    Deadline deadline(client.loop_, until);
    const std::array<std::string_view, 2> pieces = {begin, rest};
    Result<http::ClientAnswer> answer =
        co_await http::exchange(*client.pool_, pieces, false, deadline);
    if (!answer) {
      to.emplace(std::move(answer).error());
    } else {
      Reply reply{answer->head().status, {}};
      Result<std::string> whole = co_await read_all(*answer, deadline);
      if (whole) {
        reply.body = *std::move(whole);
        to.emplace(std::move(reply));
      } else {
        to.emplace(std::move(whole).error());
      }
    }
    client.loop_.stop();
  };
  loop_.spawn(work(*this, head, body, Clock::now() + patience, result));
  loop_.run();
  return *std::move(result);
}

Result<std::string> Client::get(std::string_view target, Duration patience) {
  Result<Reply> reply = ask("GET", target, {}, {}, patience);
  if (!reply) return std::move(reply).error();
  if (reply->status >= 400) return said(message_of(reply->status, reply->body));
  return std::move(reply->body);
}

int Client::failed(const Error& error) const {
  fmt::print(stderr, "{}: {}: {}{}\n", command_, visible(url_), visible(error.detail),
             error.kind == Kind::unreachable ? kNobodyThere : "");
  return kFailed;
}

Task<Result<std::string>> read_all(http::ClientAnswer& answer, Deadline& deadline) {
  std::string body;
  for (;;) {
    Result<std::string_view> piece = co_await answer.next(deadline);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) co_return body;
    body += *piece;
  }
}

Error said(std::string detail) {
  return {Kind::refused, Source::gateway, false, std::move(detail)};
}

std::string message_of(int status, std::string_view body) {
  const std::string message = error_message(body);
  if (!message.empty()) return fmt::format("{} ({})", message, status);
  return fmt::format("it answered with status {}", status);
}

}  // namespace penstock::app
