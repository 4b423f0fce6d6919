#include <charconv>

#include "http/connection.h"

namespace penstock::http {
namespace {

void append_number(std::string& out, std::uint64_t number, int base = 10) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base);
  out.append(digits.data(), end.ptr);
}

}  // namespace

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

std::string& Reply::out() {
  Server::Session& session = *connection_.session_;
  session.settle_tail();
  return session.out;
}

void Reply::reset() {
  status_ = 0;
  begun_ = finished_ = chunked_ = false;
  body_bytes_ = 0;
  head_only_ = connection_.session_->request.head.method == "HEAD";
}

void Reply::status(int code) {
  status_ = code;
  begun_ = true;
  std::string& text = out();
  text += "HTTP/1.1 ";
  append_number(text, static_cast<std::uint64_t>(code));
  text += ' ';
  text += reason_of(code);
  text += "\r\n";
}

void Reply::prepared(int status, std::string_view head) {
  status_ = status;
  begun_ = true;
  out() += head;
}

void Reply::field(std::string_view name, std::string_view value) {
  std::string& text = out();
  text += name;
  text += ": ";
  text += value;
  text += "\r\n";
}

void Reply::end_head() {
  std::string& text = out();
  if (!connection_.keep_alive_) {
    text += "connection: close\r\n";
  } else if (connection_.session_->request.head.minor == 0) {
    text += "connection: keep-alive\r\n";
  }
  text += "date: ";
  text += connection_.server_.date();
  text += "\r\n\r\n";
}

void Reply::finish(std::string_view body) {
  std::string& text = out();
  if (status_ >= 200 && status_ != 204 && status_ != 304) {
    text += "content-length: ";
    append_number(text, body.size());
    text += "\r\n";
  }
  finish_prepared(body);
}

void Reply::finish_prepared(std::string_view body) {
  end_head();
  if (!head_only_) out() += body;
  body_bytes_ = body.size();
  finished_ = true;
}

void Reply::finish_prepared(std::string_view body, std::shared_ptr<const void> owner) {
  // Copying a small one is cheaper than a second piece.
  constexpr std::size_t kCopied = 512;
  Server::Session& session = *connection_.session_;
  if (body.size() < kCopied || head_only_) {
    finish_prepared(body);
    session.tail_owner = std::move(owner);
    return;
  }
  end_head();
  session.tail = body;
  session.tail_owner = std::move(owner);
  body_bytes_ = body.size();
  finished_ = true;
}

Task<bool> Reply::begin_stream(std::optional<std::uint64_t> length) {
  if (length) {
    std::string& text = out();
    text += "content-length: ";
    append_number(text, *length);
    text += "\r\n";
  } else if (connection_.session_->request.head.minor == 1) {
    out() += "transfer-encoding: chunked\r\n";
    chunked_ = !head_only_;
  } else {
    connection_.keep_alive_ = false;  // an HTTP/1.0 client reads until the end
  }
  end_head();
  const bool sent = co_await connection_.drained();
  co_return sent;
}

bool Reply::write_now(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (head_only_ || bytes.empty()) return !client_left();
  if (!chunked_) return connection_.send_behind(bytes, {}, {}) == Connection::Sent::all;
  std::array<char, 20> size;
  const auto end = std::to_chars(size.data(), size.data() + 16, bytes.size(), 16);
  end.ptr[0] = '\r';
  end.ptr[1] = '\n';
  const std::string_view head(size.data(), static_cast<std::size_t>(end.ptr + 2 - size.data()));
  return connection_.send_behind(head, bytes, "\r\n") == Connection::Sent::all;
}

Task<bool> Reply::drained() { return connection_.drained(); }

Task<bool> Reply::write(std::string_view bytes) {
  if (write_now(bytes)) co_return true;
  const bool sent = co_await connection_.drained();
  co_return sent;
}

Task<bool> Reply::end_stream() {
  finished_ = true;
  if (chunked_) connection_.send_behind("0\r\n\r\n", {}, {});
  return connection_.drained();
}

void Reply::abort() {
  finished_ = false;
  connection_.keep_alive_ = false;
}

void Reply::close_after() { connection_.keep_alive_ = false; }

std::string Reply::peer() const {
  asio::ip::tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (connection_.fd_ < 0 || ::getpeername(connection_.fd_, endpoint.data(), &size) != 0) return {};
  endpoint.resize(size);
  return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

bool Reply::client_left() const {
  return connection_.left_ || connection_.state_ == Connection::State::closed;
}

}  // namespace penstock::http
