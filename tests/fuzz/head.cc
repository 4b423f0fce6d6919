// Heads of requests and of answers, and the judge of where their bodies end.
//
// What must hold: a head ends in one place, however much of it has come; what was accepted is what
// the strictest reading of RFC 9112 accepts, and its framing is the one of a table written down
// here a second time; written anew from what was parsed it means the same.
#include "http/head.h"

#include <algorithm>
#include <optional>

#include "check.h"

namespace penstock::fuzz {
namespace {

using namespace http;  // NOLINT(google-build-using-namespace): all of it is looked at

constexpr HeadLimits kLimits{2048, 512, 20};  // small, so that they are reached

bool is_in(std::string_view part, const Bytes& whole) {
  if (part.empty()) return true;
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// ---- the strictest reading ---------------------------------------------------------------------

struct Line {
  std::string name;  // lower case
  std::string_view value;
};

struct Strict {
  std::string_view start;
  std::vector<Line> fields;
  std::size_t length = 0;
};

// Nothing if it is no whole head, or anything in it could be read in two ways.
std::optional<Strict> read_strictly(std::string_view text) {
  Strict head;
  for (bool first = true;; first = false) {
    const std::size_t end = text.find("\r\n", head.length);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(head.length, end - head.length);
    head.length = end + 2;
    for (const char c : line) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) return std::nullopt;
    }
    if (line.empty() && !first) return head;
    if (first) {
      head.start = line;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !token(line.substr(0, colon))) return std::nullopt;
    head.fields.push_back({lowered(line.substr(0, colon)), trimmed(line.substr(colon + 1))});
  }
}

// RFC 9112 section 6.3, of the fields as they were sent.
struct Judged {
  bool bad = false;
  BodyEnd end = BodyEnd::none;
  std::string length = "0";
};
Judged judge_strictly(const std::vector<Line>& fields, int minor) {
  Judged judged;
  std::vector<std::string_view> lengths, codings;
  for (const Line& field : fields) {
    if (field.name == "content-length") lengths.push_back(field.value);
    if (field.name == "transfer-encoding") codings.push_back(field.value);
  }
  if (!codings.empty()) {
    judged.end = BodyEnd::chunked;
    judged.bad = !lengths.empty() || minor == 0 || codings.size() > 1 ||
                 lowered(codings.front()) != "chunked";
  } else if (!lengths.empty()) {
    const std::string_view length = lengths.front();
    judged.bad = lengths.size() > 1 || length.empty() || length.size() > 19 ||
                 length.find_first_not_of("0123456789") != std::string_view::npos;
    judged.length = length.substr(std::min(length.find_first_not_of('0'), length.size()));
    if (judged.length.empty()) judged.length = "0";
    judged.end = judged.length == "0" ? BodyEnd::none : BodyEnd::length;
  }
  return judged;
}

bool hosts_are_good(const std::vector<Line>& fields, std::string_view of_target, int minor) {
  constexpr std::string_view kBad = " \t/?#@,";
  if (of_target.find_first_of(kBad) != std::string_view::npos) return false;
  std::vector<std::string_view> hosts;
  for (const Line& field : fields) {
    if (field.name == "host") hosts.push_back(field.value);
  }
  if (hosts.size() != 1) return hosts.empty() && minor == 0;
  if (!of_target.empty() && lowered(hosts.front()) != lowered(of_target)) return false;
  return hosts.front().find_first_of(kBad) == std::string_view::npos;
}

// No program can read another way out of it: neither now nor after its escapes are resolved.
bool path_is_plain(std::string_view path) {
  std::string resolved;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      resolved += path[i];
      continue;
    }
    unsigned byte = 0;
    if (path.size() - i < 3 || std::sscanf(std::string(path, i + 1, 2).c_str(), "%2x", &byte) != 1)
      return false;
    resolved += static_cast<char>(byte);
    i += 2;
  }
  for (std::size_t at = 1; at <= resolved.size();) {
    const std::size_t end = std::min(resolved.find('/', at), resolved.size());
    const std::string segment = resolved.substr(at, end - at);
    if (segment == "." || segment == ".." || (segment.empty() && end < resolved.size()))
      return false;
    at = end + 1;
  }
  return std::none_of(resolved.begin(), resolved.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\';
  });
}

// ---- what was parsed ---------------------------------------------------------------------------

void check_fields(const std::vector<Field>& fields, const Strict& strict, const Bytes& bytes) {
  FUZZ_CHECK(fields.size() == strict.fields.size(), bytes.text());
  FUZZ_CHECK(fields.size() <= kLimits.fields);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    FUZZ_CHECK(is_in(fields[i].name, bytes) && is_in(fields[i].value, bytes));
    FUZZ_CHECK(fields[i].name == strict.fields[i].name, fields[i].name);
    FUZZ_CHECK(fields[i].value == strict.fields[i].value, fields[i].name, fields[i].value);
  }
}

void check_framing(const Framing& framing, const Judged& judged, bool other_fault,
                   std::string_view text) {
  FUZZ_CHECK(framing.bad.has_value() == (judged.bad || other_fault), text);
  if (framing.bad) {
    FUZZ_CHECK(!framing.keep_alive, text);
    FUZZ_CHECK(framing.bad->status >= 400 && !framing.bad->what.empty(), text);
    return;
  }
  FUZZ_CHECK(framing.end == judged.end, text);
  FUZZ_CHECK(std::to_string(framing.length) == judged.length, text);
}

template <class Head>
using Parse = Parsed (*)(char*, std::size_t, const HeadLimits&, Head&);

// The head in all of its beginnings: it waits for more up to one place, and then has its answer.
template <class Head>
Parsed parse(Bytes& bytes, Parse<Head> parser, Head& head) {
  const std::string original(bytes.text());
  const Parsed whole = parser(bytes.data(), bytes.size(), kLimits, head);
  FUZZ_CHECK(lowered(bytes.text()) == lowered(original), original);  // nothing else is changed
  const std::size_t decided = whole.progress == Progress::done ? whole.length : SIZE_MAX;
  FUZZ_CHECK(whole.progress != Progress::done || whole.length <= bytes.size(), original);

  bool bad = false;
  Head other;
  for (std::size_t size = 0; size <= original.size(); size += 1 + original.size() / 64) {
    Bytes beginning(std::string_view(original).substr(0, size));
    for (int again = 0; again < 2; ++again) {  // names are lowered by then
      const Parsed parsed = parser(beginning.data(), size, kLimits, other);
      switch (parsed.progress) {
        case Progress::more: FUZZ_CHECK(!bad && size < decided, original); break;
        case Progress::done:
          FUZZ_CHECK(parsed.length == decided && size >= decided, original);
          break;
        case Progress::bad:
          FUZZ_CHECK(whole.progress == Progress::bad, original, beginning.text());
          FUZZ_CHECK(parsed.bad.status >= 400 && !parsed.bad.what.empty(), original);
          bad = true;
      }
    }
  }
  if (whole.progress == Progress::done) {
    Bytes exact(std::string_view(original).substr(0, whole.length));
    const Parsed parsed = parser(exact.data(), exact.size(), kLimits, other);
    FUZZ_CHECK(parsed.progress == Progress::done && parsed.length == whole.length, original);
    Bytes shorter(std::string_view(original).substr(0, whole.length - 1));
    FUZZ_CHECK(parser(shorter.data(), shorter.size(), kLimits, other).progress == Progress::more);
  }
  return whole;
}

void append_fields(std::string& out, const std::vector<Field>& fields) {
  for (const Field& field : fields) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  out += "\r\n";
}

bool equal(const std::vector<Field>& a, const std::vector<Field>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && x.value == y.value;
  });
}

void check_request(std::string_view text) {
  Bytes bytes(text);
  RequestHead head;
  const Parsed parsed = parse<RequestHead>(bytes, parse_request, head);
  if (parsed.progress != Progress::done) return;

  const auto strict = read_strictly(text);
  FUZZ_CHECK(strict.has_value(), text);
  FUZZ_CHECK(strict->length == parsed.length, text);
  const std::string start = std::string(head.method) + ' ' + std::string(head.target) +
                            (head.minor == 1 ? " HTTP/1.1" : " HTTP/1.0");
  FUZZ_CHECK(start == strict->start, text);
  FUZZ_CHECK(token(head.method) && head.target.find(' ') == std::string_view::npos, text);
  FUZZ_CHECK(is_in(head.path, bytes) && is_in(head.query, bytes) && is_in(head.host, bytes));
  FUZZ_CHECK(head.path == "*" || (head.path.starts_with('/') && path_is_plain(head.path)), text);
  const std::string query = head.query.empty() ? "" : '?' + std::string(head.query);
  FUZZ_CHECK(head.target.ends_with(std::string(head.path) + query) || head.query.empty(), text);
  check_fields(head.fields, *strict, bytes);

  const Framing framing = judge_request(head);
  bool other_fault = !hosts_are_good(strict->fields, head.host, head.minor);
  for (const Line& field : strict->fields) {
    other_fault |=
        field.name == "expect" && (lowered(field.value) != "100-continue" || head.minor == 0);
  }
  check_framing(framing, judge_strictly(strict->fields, head.minor), other_fault, text);
  FUZZ_CHECK(framing.end != BodyEnd::close, text);  // a request's body never ends so

  // Lower-case names and single spaces add no byte but one behind each colon.
  if (parsed.length + head.fields.size() > kLimits.bytes) return;
  std::string anew = std::string(strict->start) + "\r\n";
  append_fields(anew, head.fields);
  Bytes copy(anew);
  RequestHead again;
  const HeadLimits wider{kLimits.bytes, kLimits.line_bytes + 1, kLimits.fields};
  const Parsed second = parse_request(copy.data(), copy.size(), wider, again);
  FUZZ_CHECK(second.progress == Progress::done && second.length == anew.size(), text);
  FUZZ_CHECK(again.target == head.target && again.path == head.path && again.query == head.query);
  FUZZ_CHECK(again.host == head.host && equal(again.fields, head.fields), text);
  FUZZ_CHECK(judge_request(again).end == framing.end, text);
}

void check_response(std::string_view text) {
  Bytes bytes(text);
  ResponseHead head;
  const Parsed parsed = parse<ResponseHead>(bytes, parse_response, head);
  if (parsed.progress != Progress::done) return;

  const auto strict = read_strictly(text);
  FUZZ_CHECK(strict.has_value(), text);
  FUZZ_CHECK(strict->length == parsed.length, text);
  FUZZ_CHECK(head.status >= 100 && head.status < 600, text);
  const std::string start =
      (head.minor == 1 ? "HTTP/1.1 " : "HTTP/1.0 ") + std::to_string(head.status);
  FUZZ_CHECK(strict->start.starts_with(start), text);
  check_fields(head.fields, *strict, bytes);

  const Judged judged = judge_strictly(strict->fields, head.minor);
  const Framing framing = judge_response(head, false);
  const bool without_body = head.status < 200 || head.status == 204 || head.status == 304;
  Judged expected = judged;
  const bool framed = std::any_of(strict->fields.begin(), strict->fields.end(), [](const Line& f) {
    return f.name == "content-length" || f.name == "transfer-encoding";
  });
  if (!framed) expected.end = BodyEnd::close;
  if (without_body) expected = {judged.bad, BodyEnd::none, "0"};
  check_framing(framing, expected, false, text);
  if (framing.end == BodyEnd::close) FUZZ_CHECK(!framing.keep_alive, text);
  FUZZ_CHECK(judge_response(head, true).end == BodyEnd::none, text);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = penstock::fuzz::text_of(data, size);
  if (text.starts_with("HTTP")) {
    penstock::fuzz::check_response(text);
  } else {
    penstock::fuzz::check_request(text);
  }
  return 0;
}
