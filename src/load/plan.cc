#include "load/plan.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <fstream>

#include "load/load.h"

namespace penstock::load {
namespace {

constexpr std::size_t kWhole = 16 * 1024;  // up to here each question has all its bytes to itself
constexpr std::size_t kDigits = 16;        // of the number that makes a question unique

Error invalid(std::string detail) {
  return {Kind::invalid, Source::gateway, false, std::move(detail)};
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

// Words that look like a question to whoever counts words, and that no compression shrinks to
// nothing.
void add_words(std::string& out, std::size_t bytes, Random& random) {
  constexpr std::array<std::string_view, 24> kWords = {
      "which", "valve",   "opens", "before", "water",   "reaches", "the",    "turbine",
      "and",   "how",     "does",  "a",      "station", "measure", "flow",   "when",
      "its",   "reserve", "is",    "low",    "after",   "storms",  "should", "operators"};
  const std::size_t end = out.size() + bytes;
  while (out.size() < end) {
    out += ' ';
    out += kWords[random.next() % kWords.size()];
  }
  out.resize(end);
  if (bytes > 0 && out.back() == ' ') out.back() = '.';
}

// What surrounds a question in a body of chat completions.
std::string before_question(const Options& options) {
  return fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":")",
                     escaped(options.model));
}
std::string after_question(const Options& options) {
  std::string out = R"("}],"temperature":0)";
  if (options.stream) out += R"(,"stream":true)";
  return out + "}";
}

Result<std::string> extra_fields(const Options& options) {
  std::string out;
  for (const std::string& header : options.headers) {
    const std::size_t colon = header.find(':');
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (colon == 0 || colon == std::string::npos || header.find_first_of(" \t") < colon ||
        std::any_of(header.begin(), header.end(), control)) {
      return invalid(fmt::format("--header '{}' is not 'name: value'", escaped(header)));
    }
    std::string name = header.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (const char* own :
         {"content-length", "transfer-encoding", "host", "connection", "expect"}) {
      if (name == own) return invalid(fmt::format("--header cannot set {}", own));
    }
    std::size_t value = colon + 1;
    while (value < header.size() && header[value] == ' ') ++value;
    out += fmt::format("{}: {}\r\n", name, header.substr(value));
  }
  return out;
}

std::string head(const Target& target, std::string_view extra, std::size_t body_bytes) {
  const bool plain_port = target.port == "80";
  return fmt::format(
      "POST {} HTTP/1.1\r\nhost: {}{}{}\r\ncontent-type: application/json\r\n"
      "user-agent: penstock-load\r\n{}content-length: {}\r\n\r\n",
      target.path, target.host, plain_port ? "" : ":", plain_port ? "" : target.port, extra,
      body_bytes);
}

// One line of a file: a body as it stands, or a question.
Result<std::string> body_of_line(const std::string& line, bool json, const Options& options,
                                 simdjson::ondemand::parser& parser) {
  const auto around = [&](std::string_view question) {
    return before_question(options) + escaped(question) + after_question(options);
  };
  if (!json) return around(line);
  const auto refuse = [] {
    return invalid("not a JSON string, nor an object with \"messages\" or \"question\"");
  };
  simdjson::padded_string padded(line);
  simdjson::ondemand::document document;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS) return refuse();
  std::string_view text;
  simdjson::ondemand::json_type type;
  if (document.type().get(type) != simdjson::SUCCESS) return refuse();
  if (type == simdjson::ondemand::json_type::string) {
    if (document.get_string().get(text) != simdjson::SUCCESS) return refuse();
    return around(text);
  }
  simdjson::ondemand::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) return refuse();
  simdjson::ondemand::value value;
  if (object.find_field_unordered("messages").get(value) == simdjson::SUCCESS) return line;
  for (const char* name : {"question", "prompt"}) {
    if (object.find_field_unordered(name).get_string().get(text) == simdjson::SUCCESS) {
      return around(text);
    }
  }
  return refuse();
}

Result<std::vector<std::string>> bodies_of_file(const Options& options) {
  std::ifstream in(options.file);
  if (!in) return invalid(fmt::format("cannot read {}", options.file));
  const bool json = options.file.ends_with(".jsonl") || options.file.ends_with(".ndjson");
  std::vector<std::string> bodies;
  simdjson::ondemand::parser parser;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    Result<std::string> body = body_of_line(line, json, options, parser);
    if (!body) {
      return invalid(fmt::format("{}:{}: {}", options.file, number, body.error().detail));
    }
    bodies.push_back(*std::move(body));
  }
  if (bodies.empty()) return invalid(fmt::format("{} holds no question", options.file));
  return bodies;
}

}  // namespace

Zipf::Zipf(std::uint32_t n, double exponent) : columns_(n) {
  assert(n > 0 && exponent >= 0);
  // Weights scaled to an average of one; columns below one are topped up by those above.
  std::vector<double> weight(n);
  double sum = 0;
  for (std::uint32_t k = 0; k < n; ++k) sum += weight[k] = std::pow(k + 1.0, -exponent);
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t k = 0; k < n; ++k) {
    weight[k] *= n / sum;
    columns_[k] = {1.0, k};
    (weight[k] < 1 ? small : large).push_back(k);
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t low = small.back();
    const std::uint32_t high = large.back();
    small.pop_back();
    columns_[low] = {weight[low], high};
    weight[high] -= 1 - weight[low];
    if (weight[high] < 1) {
      large.pop_back();
      small.push_back(high);
    }
  }
}

std::uint32_t Zipf::pick(Random& random) const {
  const double place = random.unit() * static_cast<double>(columns_.size());
  const auto column = static_cast<std::uint32_t>(place);
  return place - column < columns_[column].keep ? column : columns_[column].other;
}

Schedule::Schedule(Time start, double rate, unsigned share, unsigned shares)
    : start_(start), interval_ns_(1e9 / rate), shares_(shares), number_(share), next_(at(share)) {
  assert(rate > 0 && share < shares);
}

void Schedule::advance() {
  number_ += shares_;
  next_ = at(number_);
}

// From the number each time: adding intervals up would drift.
Time Schedule::at(std::uint64_t number) const {
  return start_ + Duration(std::llround(static_cast<double>(number) * interval_ns_));
}

Result<Target> parse_target(std::string_view url) {
  const auto refuse = [&](std::string_view why) {
    return invalid(fmt::format("--url {}: {}", url, why));
  };
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with("https://")) return refuse("only http is spoken here");
  if (!url.starts_with(kScheme)) return refuse("expected http://HOST[:PORT]");
  std::string_view rest = url.substr(kScheme.size());
  std::string_view path;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
           c == '@' || c == '?' || c == '#';
  };
  if (std::any_of(url.begin(), url.end(), odd)) return refuse("expected http://HOST[:PORT][/PATH]");

  Target target;
  std::size_t colon = rest.rfind(':');
  const std::size_t bracket = rest.rfind(']');
  if (bracket != std::string_view::npos && colon < bracket) colon = std::string_view::npos;
  target.host = rest.substr(0, colon);
  target.port = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (target.host.empty()) return refuse("the host is missing");
  if (target.port.empty() || target.port.size() > 5 ||
      !std::all_of(target.port.begin(), target.port.end(), digit)) {
    return refuse("the port is not a number");
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.ends_with("/v1")) path.remove_suffix(3);
  target.path = std::string(path) + "/v1/chat/completions";
  return target;
}

Result<Plan> Plan::make(const Options& options, const Target& target) {
  Result<std::string> extra = extra_fields(options);
  if (!extra) return std::move(extra).error();
  Plan plan;

  if (!options.file.empty()) {
    if (options.unique) return invalid("--unique makes its questions up: it cannot have --file");
    Result<std::vector<std::string>> bodies = bodies_of_file(options);
    if (!bodies) return std::move(bodies).error();
    for (const std::string& body : *bodies) {
      plan.fronts_.push_back(head(target, *extra, body.size()) + body);
    }
    return plan;
  }

  const std::string before = before_question(options) + "Question ";
  const std::string after = after_question(options);
  const std::size_t least = before.size() + kDigits + after.size();
  const std::size_t total = std::max(options.body_bytes, least);
  const std::size_t words = total - least;
  const bool apart = total > kWhole;  // then the words are shared, and only the number differs
  const std::string start = head(target, *extra, total);
  Random random(options.seed);
  if (apart) {
    add_words(plan.tail_, words, random);
    plan.tail_ += after;
  }
  plan.number_at_ = start.size() + before.size();
  const std::uint32_t count = options.unique ? 1 : options.questions;
  plan.fronts_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string front = start + before + fmt::format("{:0{}}", i, kDigits);
    if (!apart) {
      add_words(front, words, random);
      front += after;
    }
    plan.fronts_.push_back(std::move(front));
  }
  return plan;
}

Request Plan::unique(std::uint64_t number, std::string& scratch) const {
  scratch = fronts_[0];
  for (std::size_t i = kDigits; i > 0; --i, number /= 10) {
    scratch[number_at_ + i - 1] = static_cast<char>('0' + number % 10);
  }
  return {scratch, tail_};
}

}  // namespace penstock::load
