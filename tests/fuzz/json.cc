// The dialect's JSON: what clients ask and engines answer.
//
// The first byte chooses the endpoint: c chat, p completions, e embeddings, else any other. A
// second parser, plain and slow, says what is JSON at all and what it means (json_reference.h). The
// same question written in another way must be the same bytes in its canonical form; a question
// with another value in it must not.
#include <algorithm>
#include <cstring>

#include "dialect/answer.h"
#include "dialect/json.h"
#include "dialect/question.h"
#include "dialect/refusal.h"
#include "dialect/stream.h"
#include "json_reference.h"

namespace penstock::fuzz {
namespace {

using dialect::QuestionReader;

constexpr std::size_t kPadding = 64;

// What came of reading one body.
struct Read {
  std::optional<Refusal> refusal;
  Question question;

  bool is_json() const {
    return !refusal || (refusal->code != "invalid_json" && refusal->code != "duplicate_member");
  }
};

// `padding` stands behind the body, and must not matter.
Read read(std::string_view body, Endpoint endpoint, bool canonical, char padding) {
  static QuestionReader reader;  // used again and again, as a worker does
  Bytes bytes(std::string(body) + std::string(kPadding, padding));
  Read result;
  result.question.endpoint = endpoint;
  result.question.body = bytes.text().substr(0, body.size());
  result.refusal = reader.read(result.question, canonical);
  FUZZ_CHECK(bytes.text().substr(0, body.size()) == body);
  result.question.body = body;
  return result;
}

bool equal(const Range& a, const Range& b) { return a.begin == b.begin && a.end == b.end; }

void check_same(const Read& a, const Read& b, bool places, std::string_view body) {
  FUZZ_CHECK(a.refusal.has_value() == b.refusal.has_value(), body);
  if (a.refusal) {
    FUZZ_CHECK(a.refusal->code == b.refusal->code && a.refusal->param == b.refusal->param, body,
               a.refusal->message, b.refusal->message);
    if (places) FUZZ_CHECK(a.refusal->message == b.refusal->message, body);
    return;
  }
  const Question& p = a.question;
  const Question& q = b.question;
  FUZZ_CHECK(p.model == q.model && p.stream == q.stream, body);
  FUZZ_CHECK(p.include_usage == q.include_usage && p.repeatable == q.repeatable, body);
  FUZZ_CHECK(p.tools == q.tools && p.stored == q.stored && p.max_tokens == q.max_tokens, body);
  if (!places) return;
  FUZZ_CHECK(equal(p.model_at, q.model_at) && p.members_at == q.members_at, body);
  FUZZ_CHECK(equal(p.stream_options_at, q.stream_options_at), body);
}

std::string_view at(std::string_view body, const Range& range) {
  FUZZ_CHECK(range.begin <= range.end && range.end <= body.size(), body);
  return body.substr(range.begin, range.end - range.begin);
}

// ---- another meaning ---------------------------------------------------------------------------

bool left_out(std::string_view name) {
  return name == "model" || name == "stream" || name == "stream_options" || name == "user" ||
         name == "metadata";
}

// Changes one value, deep or not; false if there is none to change.
bool change(Json& json, Chance& chance, bool top) {
  switch (json.kind) {
    case Json::Kind::null: json.kind = Json::Kind::boolean; return true;
    case Json::Kind::boolean: json.truth = !json.truth; return true;
    case Json::Kind::number: {
      // A digit more in front: another value, whatever follows.
      const std::size_t sign = json.text.front() == '-' ? 1 : 0;
      if (json.text[sign] == '0') {
        json.text.replace(sign, 1, "1");
      } else {
        json.text.insert(sign, "1");
      }
      return true;
    }
    case Json::Kind::string:
      json.text += chance.one_in(2) ? "x" : std::string(1, '\0');
      return true;
    case Json::Kind::array:
      if (!json.elements.empty() && !chance.one_in(4)) {
        return change(json.elements[chance.below(json.elements.size())], chance, false);
      }
      json.elements.emplace_back();
      return true;
    case Json::Kind::object: break;
  }
  if (!json.members.empty() && !chance.one_in(6)) {
    auto& [name, value] = json.members[chance.below(json.members.size())];
    if (top && left_out(name)) return false;
    return change(value, chance, false);
  }
  std::string name = "another";
  while (json.find(name) != nullptr) name += 'x';
  json.members.push_back({std::move(name), {}});
  return true;
}

// ---- what the question says --------------------------------------------------------------------

std::string text_of_content(const Json& content) {
  if (content.is(Json::Kind::string)) return content.text;
  std::string text;
  for (const Json& part : content.elements) {
    const Json* const type = part.find("type");
    const Json* const words = part.find("text");
    const bool is_text = type != nullptr && type->is(Json::Kind::string) &&
                         (type->text == "text" || type->text == "input_text");
    if (!is_text) continue;
    if (!text.empty()) text += '\n';
    if (words != nullptr && words->is(Json::Kind::string)) text += words->text;
  }
  return text;
}

std::string expected_text(const Json& json, Endpoint endpoint) {
  if (endpoint == Endpoint::chat) {
    const Json* const messages = json.find("messages");
    const Json* last = nullptr;
    for (const Json& message : messages->elements) {
      const Json* const role = message.find("role");
      if (role == nullptr || !role->is(Json::Kind::string) || role->text != "user") continue;
      last = message.find("content");
    }
    return last == nullptr ? std::string() : text_of_content(*last);
  }
  const Json* const subject = json.find(endpoint == Endpoint::completions ? "prompt" : "input");
  if (subject->is(Json::Kind::string)) return subject->text;
  for (const Json& element : subject->elements) {
    if (element.is(Json::Kind::string)) return element.text;
  }
  return {};
}

void check_places(const Question& question, const Json& json, std::string_view body) {
  if (!question.model_at.empty()) {
    const auto model = read_json(at(body, question.model_at));
    FUZZ_CHECK(model && model->is(Json::Kind::string) && json.find("model") != nullptr, body);
    FUZZ_CHECK(model->text == json.find("model")->text, body);
    if (question.endpoint != Endpoint::other) FUZZ_CHECK(model->text == question.model, body);
  }
  if (!question.stream_options_at.empty()) {
    const auto options = read_json(at(body, question.stream_options_at));
    FUZZ_CHECK(options && options->kind == json.find("stream_options")->kind, body);
  }
  if (json.is(Json::Kind::object)) {
    // A member can be put in where it is said.
    std::string more(body);
    more.insert(question.members_at, json.members.empty() ? "\"zz\":1" : "\"zz\":1,");
    const auto with = read_json(more, {200, true});
    FUZZ_CHECK(with && with->members.size() == json.members.size() + 1, body);
  }
}

void check_question(std::string_view body, Endpoint endpoint) {
  const Read first = read(body, endpoint, true, '\0');
  check_same(first, read(body, endpoint, true, '"'), true, body);
  check_same(first, read(body, endpoint, false, '\\'), true, body);
  if (first.refusal) {
    FUZZ_CHECK(first.refusal->status == 400 && first.question.canonical.empty(), body);
    std::string told;
    dialect::write_refusal(told, *first.refusal);
    FUZZ_CHECK(is_json(told), body, told);
  }

  const auto json = read_json(body);
  const bool good = json && (json->is(Json::Kind::object) ||
                             (endpoint == Endpoint::other && json->is(Json::Kind::array)));
  FUZZ_CHECK(first.is_json() == good, body, first.refusal ? first.refusal->message : "accepted");
  if (!good) return;

  Chance chance(body);
  const std::string anew = write_anew(*json, chance);
  const Read again = read(anew, endpoint, true, 'x');
  // Which fault is told first depends on the order of the members.
  FUZZ_CHECK(first.refusal.has_value() == again.refusal.has_value(), body, anew);
  if (first.refusal) return;
  check_same(first, again, false, body);
  FUZZ_CHECK(first.question.canonical == again.question.canonical, body, anew);
  check_places(first.question, *json, body);
  check_places(again.question, *json, anew);
  if (endpoint != Endpoint::other) {
    FUZZ_CHECK(dialect::question_text(body, endpoint) == expected_text(*json, endpoint), body);
    FUZZ_CHECK(dialect::question_text(anew, endpoint) == expected_text(*json, endpoint), anew);
  }

  Json other = *json;
  const bool top = endpoint != Endpoint::other || other.is(Json::Kind::object);
  if (!change(other, chance, top)) return;
  const std::string changed = write_anew(other, chance);
  const Read third = read(changed, endpoint, true, '{');
  if (third.refusal) return;
  FUZZ_CHECK(first.question.canonical != third.question.canonical, body, changed);
}

// ---- answers -----------------------------------------------------------------------------------

void check_refusal(std::string_view body, bool json) {
  const auto completed = dialect::completed_refusal(body, 400);
  if (!completed) return;
  // Of what is no JSON only the text goes on, escaped; JSON must stay JSON.
  if (!json && read_json(body, {200, true})) return;
  if (!json && dialect::answer_facts(body, Endpoint::chat)) return;
  const auto told = read_json(*completed, {200, false});
  FUZZ_CHECK(told.has_value(), body, *completed);
  const Json* const error = told->find("error");
  FUZZ_CHECK(error != nullptr && error->find("param") && error->find("code"), body, *completed);
  const Json* const message = error->find("message");
  FUZZ_CHECK(message && message->is(Json::Kind::string) && !message->text.empty(), body);
  FUZZ_CHECK(error->find("type") && error->find("type")->is(Json::Kind::string), body);
  FUZZ_CHECK(!dialect::completed_refusal(*completed, 400), body, *completed);
}

// A plain answer as a stream, and back.
void check_split(std::string_view body, bool usage, bool json) {
  const auto frames = dialect::split(body, usage);
  if (!frames) return;
  dialect::StreamReader reader;
  const auto passed = reader.feed(*frames);
  if (!json) return;
  FUZZ_CHECK(frames->ends_with(dialect::kDoneEvent), body);
  dialect::EventSplitter splitter;
  splitter.feed(*frames);
  while (const auto event = splitter.next()) {
    FUZZ_CHECK(event->data == "[DONE]" || is_json(event->data), body, event->data);
  }
  FUZZ_CHECK(splitter.rest().empty(), body, *frames);
  const auto facts = dialect::answer_facts(body, Endpoint::chat);
  if (!facts) return;  // more choices than are counted, or one that is no object
  FUZZ_CHECK(passed && *passed == *frames && !reader.broken() && reader.done(), body, *frames);
  const auto back = dialect::assemble(*frames);
  if (!back) return;
  FUZZ_CHECK(is_json(*back), body, *back);
  const auto twice = dialect::split(*back, usage);
  FUZZ_CHECK(twice.ok(), body, *back);
  const auto settled = dialect::assemble(*twice);
  FUZZ_CHECK(settled.ok(), body, *twice);
  const auto now = dialect::answer_facts(*back, Endpoint::chat);
  FUZZ_CHECK(now && now->cacheable == facts->cacheable, body, *back);
}

void check_answer(std::string_view body) {
  const auto parsed = read_json(body, {60, false});
  const bool json = parsed && parsed->is(Json::Kind::object);
  for (const Endpoint endpoint : {Endpoint::chat, Endpoint::embeddings}) {
    (void)dialect::answer_facts(body, endpoint);
    (void)dialect::question_text(body, endpoint);
  }
  (void)dialect::read_usage(body);
  check_refusal(body, json);
  check_split(body, true, json);
  check_split(body, false, json);
}

// Any text is a JSON string, once written; ill-formed bytes are replaced.
void check_writer(std::string_view text) {
  std::string out;
  dialect::write_string(out, text);
  const auto json = read_json(out);
  FUZZ_CHECK(json && json->is(Json::Kind::string), out);
  if (is_utf8(text)) FUZZ_CHECK(json->text == text, out);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using penstock::Endpoint;
  if (size == 0) return 0;
  const std::string_view text = penstock::fuzz::text_of(data, size);
  const std::string_view body = text.substr(1);
  const char first = text.front();
  penstock::fuzz::check_question(body, first == 'c'   ? Endpoint::chat
                                       : first == 'p' ? Endpoint::completions
                                       : first == 'e' ? Endpoint::embeddings
                                                      : Endpoint::other);
  penstock::fuzz::check_answer(body);
  penstock::fuzz::check_writer(body);
  return 0;
}
