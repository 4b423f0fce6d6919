#include "http/head.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace penstock::http {
namespace {

// tchar of RFC 9110 section 5.6.2 mapped to lower case, 0 for everything else.
constexpr std::array<char, 256> make_token_table() {
  std::array<char, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) {
    table[static_cast<unsigned char>(c)] = c;
  }
  for (char c = 'A'; c <= 'Z'; ++c) {
    table[static_cast<unsigned char>(c)] = static_cast<char>(c - 'A' + 'a');
  }
  return table;
}
constexpr auto kToken = make_token_table();

// What may stand in a request target: RFC 3986's characters; browsers also send a few others.
constexpr std::array<bool, 256> make_target_table() {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("-._~!$&'()*+,;=:@/?%[]|{}^`\"\\<>"
                                       "0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr auto kTarget = make_target_table();

constexpr char token_char(char c) { return kToken[static_cast<unsigned char>(c)]; }

// First byte that may not stand in a field value or reason phrase, searched in [p, end): a
// control byte other than a tab. 8 bytes at a time.
const char* find_control(const char* p, const char* end) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
  for (;;) {
    while (end - p >= 8) {
      std::uint64_t word;
      std::memcpy(&word, p, sizeof word);
      // Bytes below 0x20, and 0x7f; exact for the question "is there any".
      const std::uint64_t below = (word - kOnes * 0x20) & ~word & kHigh;
      const std::uint64_t del = word ^ (kOnes * 0x7f);
      const std::uint64_t is_del = (del - kOnes) & ~del & kHigh;
      if ((below | is_del) != 0) break;
      p += 8;
    }
    // A tab inside the eight, or the true find: byte by byte until clear of it.
    bool tab = false;
    for (; p != end && !tab; ++p) {
      const auto c = static_cast<unsigned char>(*p);
      if ((c < 0x20 && c != '\t') || c == 0x7f) return p;
      tab = c == '\t';
    }
    if (p == end) return end;
  }
}

std::string_view trim(const char* begin, const char* end) {
  while (begin != end && (*begin == ' ' || *begin == '\t')) ++begin;
  while (end != begin && (end[-1] == ' ' || end[-1] == '\t')) --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

Parsed bad(int status, std::string_view what, Limit limit = Limit::none) {
  return {Progress::bad, 0, {status, what, limit}};
}

// Models have slashes in their names, and SDKs escape them there: `meta%2FLlama`. Nothing below
// this is routed any further, so that here alone an escaped slash has one meaning.
constexpr std::string_view kNamesBelow = "/v1/models/";

// "/v1/./x", "/v1/%2e%2e/x", "//x": one program resolves them, the next does not.
bool path_is_ambiguous(std::string_view path) {
  const bool names = path.starts_with(kNamesBelow);
  std::size_t segment = 1;
  for (std::size_t i = 1; i <= path.size(); ++i) {
    std::size_t slash = i < path.size() && path[i] == '/' ? 1 : 0;  // its length
    if (i < path.size() && path[i] == '%') {
      const std::string_view code = path.substr(i + 1, 2);
      const auto hex = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      };
      if (code.size() < 2 || !hex(code[0]) || !hex(code[1])) return true;
      if (equal_lower(code, "2e") || equal_lower(code, "5c") || code[0] == '0' || code[0] == '1' ||
          equal_lower(code, "7f")) {
        return true;
      }
      if (equal_lower(code, "2f")) {
        if (!names) return true;
        slash = 3;
      }
    }
    if (i < path.size() && path[i] == '\\') return true;
    if (i < path.size() && slash == 0) continue;
    const std::string_view name = path.substr(segment, i - segment);
    const bool last = i == path.size();
    if (name == "." || name == ".." || (name.empty() && !last)) return true;
    segment = i + std::max<std::size_t>(slash, 1);
    i = segment - 1;
  }
  return false;
}

// Splits the target. False if it has none of the forms of RFC 9112 section 3.2 that we serve.
bool split_target(RequestHead& head) {
  std::string_view rest = head.target;
  if (rest == "*") {
    head.path = rest;
    return head.method == "OPTIONS";
  }
  if (rest.empty()) return false;
  if (rest.front() != '/') {
    // absolute-form, as a proxy's client sends it
    std::size_t scheme = 0;
    if (rest.size() > 7 && equal_lower(rest.substr(0, 7), "http://")) scheme = 7;
    if (rest.size() > 8 && equal_lower(rest.substr(0, 8), "https://")) scheme = 8;
    if (scheme == 0) return false;
    rest.remove_prefix(scheme);
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash == 0) return false;
    head.host = rest.substr(0, slash);
    rest.remove_prefix(slash);
  }
  const std::size_t mark = rest.find('?');
  head.path = rest.substr(0, mark);
  head.query = mark == std::string_view::npos ? std::string_view{} : rest.substr(mark + 1);
  return !path_is_ambiguous(head.path);
}

// The fields from `p` on, up to and with the empty line.
Parsed parse_fields(char* const data, char* p, char* const end, const HeadLimits& limits,
                    std::vector<Field>& fields) {
  fields.clear();
  for (;;) {
    if (p == end) break;
    if (*p == '\r') {
      if (end - p < 2) break;
      if (p[1] != '\n') return bad(400, "a bare CR in the head");
      const auto length = static_cast<std::size_t>(p + 2 - data);
      if (length > limits.bytes) return bad(431, "the head is too large", Limit::head);
      return {Progress::done, length, {}};
    }
    char* const line = p;
    while (p != end) {
      const char lower = token_char(*p);
      if (lower == 0) break;
      *p++ = lower;
    }
    if (p == end) break;
    const auto name_size = static_cast<std::size_t>(p - line);
    if (*p != ':') {
      if (name_size == 0 && (*p == ' ' || *p == '\t')) return bad(400, "a folded field line");
      if (*p == ' ' || *p == '\t') return bad(400, "white space before the colon of a field");
      if (*p == '\n') return bad(400, "a bare LF in the head");
      return bad(400, "a field name with a character that is not allowed");
    }
    if (name_size == 0) return bad(400, "a field without a name");
    char* const value = ++p;
    const char* const stop = find_control(value, end);
    if (stop == end) {
      p = end;
      if (static_cast<std::size_t>(end - line) > limits.line_bytes) {
        return bad(431, "a field line is too long", Limit::line);
      }
      break;
    }
    if (static_cast<std::size_t>(stop - line) > limits.line_bytes) {
      return bad(431, "a field line is too long", Limit::line);
    }
    if (*stop == '\n') return bad(400, "a bare LF in the head");
    if (*stop != '\r') return bad(400, "a control byte in a field value");
    if (end - stop < 2) break;
    if (stop[1] != '\n') return bad(400, "a bare CR in the head");
    if (fields.size() == limits.fields)
      return bad(431, "too many fields in the head", Limit::headers);
    fields.push_back({{line, name_size}, trim(value, stop)});
    p = value + (stop - value) + 2;
  }
  // Not whole yet. A line under way is bounded above; the head here.
  if (static_cast<std::size_t>(end - data) >= limits.bytes) {
    return bad(431, "the head is too large", Limit::head);
  }
  return {};
}

std::string_view find_in(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return field.value;
  }
  return {};
}

// What Host or a target's authority may be here: one plain name, perhaps with a port.
bool plain_host(std::string_view host) {
  return host.find_first_of(" \t/?#@,") == std::string_view::npos;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    return lower(x) == lower(y);
  });
}

// Content-Length as one decimal number of at most 19 digits.
bool parse_length(std::string_view text, std::uint64_t& length) {
  if (text.empty() || text.size() > 19) return false;
  length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

// What requests and responses have in common.
struct Collected {
  int lengths = 0;
  std::string_view length;
  int codings = 0;
  std::string_view coding;
  bool close = false;
  bool keep_alive = false;
};

void collect(const Field& field, Collected& all) {
  switch (field.name.size()) {
    case 10:
      if (field.name == "connection") {
        all.close |= list_has(field.value, "close");
        all.keep_alive |= list_has(field.value, "keep-alive");
      }
      break;
    case 14:
      if (field.name == "content-length") {
        ++all.lengths;
        all.length = field.value;
      }
      break;
    case 17:
      if (field.name == "transfer-encoding") {
        ++all.codings;
        all.coding = field.value;
      }
      break;
    default: break;
  }
}

// Transfer-Encoding has one value that we take: "chunked", alone.
std::optional<BadMessage> judge_coding(const Collected& all, int minor) {
  if (all.lengths > 0) return BadMessage{400, "Transfer-Encoding together with Content-Length"};
  if (minor == 0) return BadMessage{400, "Transfer-Encoding on HTTP/1.0"};
  if (all.codings > 1) return BadMessage{400, "Transfer-Encoding more than once"};
  if (equal_lower(all.coding, "chunked")) return std::nullopt;
  std::size_t chunked = 0;
  for (std::string_view list = all.coding; !list.empty();) {
    const std::size_t end = list.find(',');
    if (list_has(list.substr(0, end), "chunked")) ++chunked;
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  if (chunked > 1) return BadMessage{400, "Transfer-Encoding names chunked more than once"};
  // The last coding decides: without chunked at its end the body has no end.
  const std::size_t comma = all.coding.rfind(',');
  const std::size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
  const std::string_view last =
      trim(all.coding.data() + begin, all.coding.data() + all.coding.size());
  for (const std::string_view known :
       {"gzip", "x-gzip", "deflate", "compress", "x-compress", "identity", ""}) {
    if (equal_lower(last, known)) {
      return BadMessage{400, "Transfer-Encoding does not end in chunked"};
    }
  }
  return BadMessage{501, "a transfer coding other than chunked"};
}

}  // namespace

bool equal_lower(std::string_view any_case, std::string_view lower_case) {
  if (any_case.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < any_case.size(); ++i) {
    char c = any_case[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c != lower_case[i]) return false;
  }
  return true;
}

bool list_has(std::string_view list, std::string_view lower_case_token) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    if (equal_lower(trim(item.data(), item.data() + item.size()), lower_case_token)) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool hop_by_hop(std::string_view name) {
  switch (name.size()) {
    case 2: return name == "te";
    case 7: return name == "trailer" || name == "upgrade";
    case 10: return name == "connection" || name == "keep-alive";
    case 16: return name == "proxy-connection";
    case 17: return name == "transfer-encoding";
    case 18: return name == "proxy-authenticate";
    case 19: return name == "proxy-authorization";
    default: return false;
  }
}

std::string_view RequestHead::find(std::string_view name) const { return find_in(fields, name); }
std::string_view ResponseHead::find(std::string_view name) const { return find_in(fields, name); }

Parsed parse_request(char* data, std::size_t size, const HeadLimits& limits, RequestHead& head) {
  char* const end = data + size;
  char* p = data;
  const auto too_long = [&] { return static_cast<std::size_t>(end - data) > limits.line_bytes; };

  while (p != end && token_char(*p) != 0) ++p;
  if (p - data > 32) return bad(501, "the method is not known");
  if (p == end) return {};
  if (*p != ' ' || p == data) return bad(400, "the request line does not begin with a method");
  head.method = {data, static_cast<std::size_t>(p - data)};

  char* const target = ++p;
  while (p != end && kTarget[static_cast<unsigned char>(*p)]) ++p;
  if (static_cast<std::size_t>(p - data) > limits.line_bytes) {
    return bad(431, "the request line is too long", Limit::line);
  }
  if (p == end)
    return too_long() ? bad(431, "the request line is too long", Limit::line) : Parsed{};
  if (*p != ' ') return bad(400, "a byte in the request target that is not allowed");
  head.target = {target, static_cast<std::size_t>(p - target)};
  head.query = {};
  head.host = {};

  constexpr std::string_view kVersion = " HTTP/1.";
  const auto left = static_cast<std::size_t>(end - p);
  if (std::memcmp(p, kVersion.data(), std::min(left, kVersion.size())) != 0) {
    const bool other = left >= 6 && std::memcmp(p, " HTTP/", 6) == 0;
    return bad(other ? 505 : 400, other ? "the HTTP version is not 1.0 or 1.1"
                                        : "the request line does not end in a version");
  }
  if (left < kVersion.size() + 3) return {};
  p += kVersion.size();
  if (*p != '0' && *p != '1') return bad(505, "the HTTP version is not 1.0 or 1.1");
  head.minor = *p - '0';
  if (p[1] != '\r' || p[2] != '\n') {
    return bad(400, "the request line does not end in CR LF");
  }
  if (!split_target(head)) return bad(400, "the request target is not usable");
  return parse_fields(data, p + 3, end, limits, head.fields);
}

Parsed parse_response(char* data, std::size_t size, const HeadLimits& limits, ResponseHead& head) {
  char* const end = data + size;
  constexpr std::string_view kVersion = "HTTP/1.";
  if (std::memcmp(data, kVersion.data(), std::min(size, kVersion.size())) != 0) {
    return bad(502, "the answer does not begin with HTTP/1.");
  }
  // "HTTP/1.1 200" and one byte more, which is a space or the CR.
  if (size < 13) return {};
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if ((data[7] != '0' && data[7] != '1') || data[8] != ' ' || !digit(data[9]) || !digit(data[10]) ||
      !digit(data[11]) || (data[12] != ' ' && data[12] != '\r')) {
    return bad(502, "the status line is malformed");
  }
  head.minor = data[7] - '0';
  head.status = (data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0');
  if (head.status < 100 || head.status > 599) return bad(502, "the status is out of range");
  const char* const stop = find_control(data + 12, end);
  if (static_cast<std::size_t>(stop - data) > limits.line_bytes) {
    return bad(502, "the status line is too long");
  }
  if (stop == end) return {};
  if (*stop != '\r') return bad(502, "a control byte in the status line");
  if (end - stop < 2) return {};
  if (stop[1] != '\n') return bad(502, "a bare CR in the status line");
  return parse_fields(data, data + (stop - data) + 2, end, limits, head.fields);
}

Framing judge_request(const RequestHead& head) {
  Framing framing;
  Collected all;
  int hosts = 0;
  for (const Field& field : head.fields) {
    if (field.name.size() == 4) {
      if (field.name == "host") {
        ++hosts;
        if (!plain_host(field.value)) hosts = 2;
        // The target's is the one that counts (RFC 9112 section 3.2.2): not every program knows.
        if (!head.host.empty() && !equal_in_any_case(field.value, head.host)) hosts = 2;
      }
    } else if (field.name.size() == 6 && field.name == "expect") {
      framing.expect_continue = equal_lower(field.value, "100-continue") && head.minor == 1;
      if (!framing.expect_continue) framing.bad = {417, "an expectation other than 100-continue"};
    } else {
      collect(field, all);
    }
  }
  if (!plain_host(head.host)) hosts = 2;
  // HTTP/1.0 knew no Host; two are two meanings in any version.
  if (hosts > 1 || (hosts == 0 && head.minor == 1)) {
    framing.bad = {400, hosts == 0 ? "no Host field" : "Host is not one plain name"};
  }
  framing.keep_alive = head.minor == 1 ? !all.close : all.keep_alive && !all.close;
  if (all.codings > 0) {
    if (const auto wrong = judge_coding(all, head.minor)) framing.bad = wrong;
    framing.end = BodyEnd::chunked;
  } else if (all.lengths > 0) {
    if (all.lengths > 1 || !parse_length(all.length, framing.length)) {
      framing.bad = {400, "Content-Length is not one plain number"};
    }
    framing.end = framing.length > 0 ? BodyEnd::length : BodyEnd::none;
  }
  if (framing.bad) framing.keep_alive = false;
  return framing;
}

Framing judge_response(const ResponseHead& head, bool to_head) {
  Framing framing;
  Collected all;
  for (const Field& field : head.fields) collect(field, all);
  framing.keep_alive = head.minor == 1 ? !all.close : all.keep_alive && !all.close;
  const bool without_body =
      to_head || head.status < 200 || head.status == 204 || head.status == 304;
  if (all.codings > 0) {
    if (const auto wrong = judge_coding(all, head.minor)) framing.bad = {502, wrong->what};
    framing.end = BodyEnd::chunked;
  } else if (all.lengths > 0) {
    if (all.lengths > 1 || !parse_length(all.length, framing.length)) {
      framing.bad = {502, "Content-Length is not one plain number"};
    }
    framing.end = framing.length > 0 ? BodyEnd::length : BodyEnd::none;
  } else {
    framing.end = BodyEnd::close;
    if (!without_body) framing.keep_alive = false;
  }
  if (without_body) {
    framing.end = BodyEnd::none;
    framing.length = 0;
  }
  if (framing.bad) framing.keep_alive = false;
  return framing;
}

}  // namespace penstock::http
