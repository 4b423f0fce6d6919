#include "dialect/question.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>

#include "base/buffer.h"
#include "dialect/bytes.h"
#include "dialect/canonical.h"
#include "dialect/parameters.h"
#include "dialect/tokens.h"

#define PENSTOCK_INLINE [[gnu::always_inline]] inline
#define PENSTOCK_COLD [[gnu::cold, gnu::noinline]]

namespace penstock::dialect {
namespace {

constexpr std::size_t kKeptBody = 1024 * 1024;  // memory for bodies of this size is kept
constexpr std::size_t kKeptMembers = 16 * 1024;

// Where in the request a container is, as far as its values are looked at.
enum class Place : std::uint8_t {
  other,
  top,
  messages,  // the array
  message,   // one of its objects
  inputs,    // the array of prompt or input
  ids,       // an array of token ids in it
  options,   // the object of stream_options
};

struct Frame {
  std::uint32_t members;  // its first, in the stack of members
  std::uint32_t out;      // where its own bytes begin in the canonical form
  std::uint32_t index;    // of the present element
  bool object;
  bool sorted;  // the members so far ascend
  bool has_role;
  Place place;
  Shape shape;  // of the first element
};

constexpr std::uint32_t kRole = 0x726f6c65;  // "role"

std::string_view subject_of(Endpoint endpoint) {
  return endpoint == Endpoint::completions ? "prompt" : "input";
}

std::string element_of(std::string_view array, std::uint32_t index) {
  return std::string(array) + "[" + std::to_string(index) + "]";
}

}  // namespace

struct QuestionReader::Scratch {
  Tokens tokens;
  std::unique_ptr<Member[]> members;  // of the objects under way, the outermost first
  std::size_t members_capacity = 0;
  Buffer names;                            // those that were escaped
  Buffer out;                              // the canonical form, its members in the order they came
  std::unique_ptr<const Member*[]> order;  // as many
  Buffer spare;                            // an object's bytes while its members change places
};

// One walk over the tokens of one body. Its parts are inlined into run(): a call and what it makes
// the compiler forget cost as much as the work.
class QuestionReader::Walk {
 public:
  Walk(Scratch& scratch, Question& question)
      : scratch_(scratch),
        question_(question),
        text_(question.body.data()),
        end_(text_ + question.body.size()),
        token_(scratch.tokens.begin()),
        tokens_end_(scratch.tokens.end()),
        backslash_(text_ - 1),
        writer_(scratch.out.data()),
        members_(scratch.members.get()),
        room_(scratch.members_capacity) {
    parameters_.lenient = question.endpoint == Endpoint::other;
  }

  // False if there is something to say against it: refusal().
  template <bool Canonical>
  bool run();

  Refusal refusal() { return std::move(*refusal_); }

 private:
  struct Text {
    const char* begin = nullptr;
    const char* end = nullptr;
    bool escaped = false;
    std::size_t size() const { return static_cast<std::size_t>(end - begin); }
  };

  Frame& top() { return frames_[depth_ - 1]; }
  std::size_t offset(const char* at) const { return static_cast<std::size_t>(at - text_); }

  // A reason to stop; always false.
  bool defect(std::string_view what, const char* at) {
    note(what, at);
    return false;
  }
  bool defect_at_token(std::string_view what) {
    if (token_ == tokens_end_) return defect("it ends too early", end_);
    return defect(what, text_ + *token_);
  }
  PENSTOCK_COLD void note(std::string_view what, const char* at) {
    refusal_ = not_json(Defect{what, offset(at)});
  }
  // A fault of the request, not of its JSON: the walk goes on, the first one is told at its end.
  PENSTOCK_COLD void fault(Refusal refusal) {
    if (!parameters_.refusal) parameters_.refusal = std::move(refusal);
  }

  char peek() const { return token_ == tokens_end_ ? '\0' : text_[*token_]; }

  PENSTOCK_INLINE bool read_string(const char* open, Text& text);
  template <bool Canonical>
  PENSTOCK_INLINE bool read_name();
  template <bool Canonical>
  PENSTOCK_INLINE bool read_scalar(const char* at);
  template <bool Canonical>
  PENSTOCK_INLINE bool open(const char* at, bool object);
  template <bool Canonical>
  PENSTOCK_INLINE bool close();
  template <bool Canonical>
  bool sort(const Frame& frame);

  // Whether the gateway reads the value that comes next.
  bool looked_at() {
    switch (top().place) {
      case Place::top: return field_ != Field::unknown;
      case Place::message: return members_[count_ - 1].is(kRole);
      case Place::other: return false;
      default: return true;
    }
  }
  void string_met(const Text& text);
  void met(const Seen& seen);
  void check_element(Frame& frame, const Seen& seen);
  Place place_within(const Frame& frame, bool object) const;
  PENSTOCK_COLD void more_members() {
    const std::size_t capacity = std::max<std::size_t>(64, 2 * room_);
    auto members = std::make_unique_for_overwrite<Member[]>(capacity);
    std::copy_n(members_, count_, members.get());
    scratch_.members = std::move(members);
    scratch_.order = std::make_unique_for_overwrite<const Member*[]>(capacity);
    members_ = scratch_.members.get();
    scratch_.members_capacity = room_ = capacity;
  }
  char* names_end() { return scratch_.names.data() + names_size_; }
  void need_names() { grow(scratch_.names, question_.body.size() + 64); }

  Scratch& scratch_;
  Question& question_;
  const char* const text_;
  const char* const end_;
  const std::uint32_t* token_;  // the next one
  const std::uint32_t* const tokens_end_;
  const char* backslash_;  // the first at or behind where it was last looked for
  CanonicalWriter writer_;
  Member* members_;
  std::size_t room_;
  std::uint32_t count_ = 0;  // of members_
  std::size_t names_size_ = 0;
  std::size_t members_seen_ = 0;
  std::size_t depth_ = 0;
  Field field_ = Field::unknown;    // of the present top-level member
  const char* value_at_ = nullptr;  // its value
  std::array<Frame, kMostDepth> frames_;
  Parameters parameters_;
  std::optional<Refusal> refusal_;

  friend class QuestionReader;
};

// `token_` is already behind the string's, so the string ends before the next token: its closing
// quote is the last byte before that which is no white space.
bool QuestionReader::Walk::read_string(const char* open, Text& text) {
  const char* close = text_ + *token_ - 1;
  if (*close != '"') [[unlikely]] {
    while (is_space(*close)) --close;
  }
  if (close <= open || *close != '"') return defect("a string is followed by something else", open);
  if (backslash_ < open) {
    const void* found = std::memchr(open, '\\', static_cast<std::size_t>(end_ - open));
    backslash_ = found != nullptr ? static_cast<const char*>(found) : end_;
  }
  text = {open + 1, close, backslash_ < close};
  return true;
}

template <bool Canonical>
bool QuestionReader::Walk::read_name() {
  if (peek() != '"') return defect_at_token("expected the name of a member");
  const char* const at = text_ + *token_++;
  Text name;
  if (!read_string(at, name)) return false;
  if (peek() != ':') return defect_at_token("expected a colon behind a member's name");
  ++token_;
  if (++members_seen_ > kMostMembers) {
    refusal_ = not_json("The body has more than " + std::to_string(kMostMembers) + " members.");
    return false;
  }

  if (count_ == room_) more_members();
  Member& member = members_[count_];
  member.name = name.begin;
  member.length = static_cast<std::uint32_t>(name.end - name.begin);
  if (name.escaped) {
    need_names();
    const Unescaped done = unescape(name.begin, name.end, names_end());
    if (done.bad != nullptr) return defect("a bad escape in a string", done.bad);
    member.name = names_end();
    member.length = static_cast<std::uint32_t>(done.end - names_end());
    names_size_ += member.length;
  }
  member.at = static_cast<std::uint32_t>(offset(at));
  member.prefix = prefix_of(member.name, member.length);
  member.begin = member.end = writer_.size();
  member.left_out = false;

  Frame& frame = top();
  if (frame.place == Place::top) {
    field_ = field_of(member.text(), question_.endpoint);
    member.left_out = left_out(field_);
    if (token_ != tokens_end_) value_at_ = text_ + *token_;
  }
  if (count_ > frame.members) {
    Member& before = members_[count_ - 1];
    before.end = member.begin;
    const int order = compare(before, member);
    if (order == 0) {
      refusal_ = named_twice(member);
      return false;
    }
    frame.sorted = frame.sorted && order < 0;
  }
  ++count_;
  if constexpr (Canonical) writer_.string(member.name, member.length);
  return true;
}

// A string, a number or a word.
template <bool Canonical>
bool QuestionReader::Walk::read_scalar(const char* at) {
  if (*at == '"') {
    Text text;
    if (!read_string(at, text)) return false;
    const char* bad = nullptr;
    if (!text.escaped) {
      if constexpr (Canonical) writer_.string(text.begin, text.size());
    } else if constexpr (Canonical) {
      bad = writer_.escaped_string(text.begin, text.end);
    } else {
      bad = bad_escape(text.begin, text.end);
    }
    if (bad != nullptr) return defect("a bad escape in a string", bad);
    if (looked_at()) string_met(text);
    return true;
  }
  const char* const limit = text_ + *token_;  // the next token's, or the end
  if (is_digit(*at) || *at == '-') {
    const ParsedNumber number = parse_number(at, limit);
    const char* stop = number.stop;
    while (stop < limit && is_space(*stop)) ++stop;
    if (number.fault == NumberFault::syntax || stop != limit) return defect("a bad number", at);
    if (number.fault == NumberFault::range) return defect("a number is out of range", at);
    const std::string_view text(at, static_cast<std::size_t>(number.stop - at));
    if constexpr (Canonical) writer_.number(text, number.value);
    if (looked_at()) met({Shape::number, text, number.value});
    return true;
  }
  const std::string_view word = *at == 't' ? "true" : *at == 'f' ? "false" : "null";
  const char* stop = limit;
  while (stop > at && is_space(stop[-1])) --stop;
  const std::string_view text(at, static_cast<std::size_t>(stop - at));
  if (text != word) return defect("expected a value", at);
  if constexpr (Canonical) writer_.tag(*at);
  if (looked_at()) met({*at == 'n' ? Shape::null : Shape::boolean, text, {}});
  return true;
}

void QuestionReader::Walk::string_met(const Text& text) {
  Seen seen{Shape::string, {text.begin, text.size()}, {}};
  if (depth_ == 1) {
    if (text.escaped) {
      need_names();
      const Unescaped done = unescape(text.begin, text.end, names_end());
      seen.text = {names_end(), static_cast<std::size_t>(done.end - names_end())};
      names_size_ += seen.text.size();
    }
    if (field_ == Field::model) {
      question_.model_at = {offset(text.begin) - 1, offset(text.end) + 1};
    }
  }
  met(seen);
}

void QuestionReader::Walk::met(const Seen& seen) {
  Frame& frame = top();
  if (frame.place != Place::top) {
    check_element(frame, seen);
    return;
  }
  take(parameters_, field_, seen);
  if (field_ == Field::stream_options && seen.shape == Shape::null) {
    question_.stream_options_at = {offset(value_at_), offset(value_at_) + 4};
  }
}

// A value in a container that the gateway looks into.
void QuestionReader::Walk::check_element(Frame& frame, const Seen& seen) {
  const bool integer = seen.shape == Shape::number && seen.number.is_integer();
  switch (frame.place) {
    case Place::messages:
      if (seen.shape != Shape::object) {
        fault(invalid_type(element_of("messages", frame.index), "an object", seen));
      }
      return;
    case Place::message:
      frame.has_role = true;
      if (seen.shape != Shape::string) {
        fault(invalid_type(element_of("messages", frames_[depth_ - 2].index) + ".role", "a string",
                           seen));
      }
      return;
    case Place::inputs: {
      const bool fits = seen.shape == Shape::string || seen.shape == Shape::array || integer;
      if (frame.index == 0) frame.shape = seen.shape;
      if (!fits || seen.shape != frame.shape) {
        const std::string_view expected = frame.index == 0 || frame.shape == Shape::string
                                              ? "a string"
                                          : frame.shape == Shape::array ? "an array of integers"
                                                                        : "an integer";
        fault(
            invalid_type(element_of(subject_of(question_.endpoint), frame.index), expected, seen));
      }
      return;
    }
    case Place::ids:
      if (!integer) {
        const std::string array =
            element_of(subject_of(question_.endpoint), frames_[depth_ - 2].index);
        fault(invalid_type(element_of(array, frame.index), "an integer", seen));
      }
      return;
    case Place::options:
      if (members_[count_ - 1].text() != "include_usage" || seen.shape == Shape::null) return;
      if (seen.shape != Shape::boolean) {
        fault(invalid_type("stream_options.include_usage", "a boolean", seen));
      }
      parameters_.include_usage = seen.text == "true";
      return;
    case Place::top:
    case Place::other: return;
  }
}

Place QuestionReader::Walk::place_within(const Frame& frame, bool object) const {
  switch (frame.place) {
    case Place::top:
      if (field_ == Field::messages && !object) return Place::messages;
      if ((field_ == Field::input || field_ == Field::prompt) && !object) return Place::inputs;
      if (field_ == Field::stream_options && object) return Place::options;
      return Place::other;
    case Place::messages: return object ? Place::message : Place::other;
    case Place::inputs: return object ? Place::other : Place::ids;
    case Place::message:
    case Place::ids:
    case Place::options:
    case Place::other: return Place::other;
  }
  return Place::other;
}

template <bool Canonical>
bool QuestionReader::Walk::open(const char* at, bool object) {
  if (depth_ == kMostDepth) return defect("it is nested deeper than 64 levels", at);
  Place place = object ? Place::top : Place::other;
  if (depth_ > 0) {
    if (looked_at()) met({object ? Shape::object : Shape::array, {}, {}});
    place = place_within(top(), object);
    const bool empty = !object && peek() == ']';
    if (empty && (place == Place::messages || place == Place::inputs)) {
      fault(empty_array(
          std::string(place == Place::messages ? "messages" : subject_of(question_.endpoint))));
    }
    if (empty && place == Place::ids) {
      fault(empty_array(element_of(subject_of(question_.endpoint), top().index)));
    }
    if (depth_ == 1 && !object && !empty &&
        (field_ == Field::tools || field_ == Field::functions)) {
      parameters_.tools = true;
    }
  }
  frames_[depth_++] = Frame{count_, writer_.size(), 0, object, true, false, place, Shape::null};
  if constexpr (Canonical) writer_.tag(object ? '{' : '[');
  return true;
}

// The bracket is read. Members are known to be different here at the latest.
template <bool Canonical>
bool QuestionReader::Walk::close() {
  Frame& frame = top();
  if (frame.object) {
    if (count_ > frame.members) members_[count_ - 1].end = writer_.size();
    if (!frame.sorted && !sort<Canonical>(frame)) return false;
    if constexpr (Canonical) {
      writer_.tag('}');
      if (depth_ == 1) {
        std::string& out = question_.canonical;
        out.reserve(writer_.size() + 1);
        out += '{';
        for (std::uint32_t i = 0; i < count_; ++i) {
          const Member& member = frame.sorted ? members_[i] : *scratch_.order[i];
          if (member.left_out) continue;
          out.append(writer_.begin() + member.begin, member.end - member.begin);
        }
        out += '}';
      }
    }
    count_ = frame.members;
    if (frame.place == Place::message && !frame.has_role) {
      fault(missing_parameter(element_of("messages", frames_[depth_ - 2].index) + ".role"));
    }
    if (frame.place == Place::options) {
      question_.stream_options_at = {offset(value_at_), std::size_t{token_[-1]} + 1};
    }
  } else if constexpr (Canonical) {
    writer_.tag(']');
    if (depth_ == 1) question_.canonical.assign(writer_.begin(), writer_.size());
  }
  --depth_;
  return true;
}

template <bool Canonical>
bool QuestionReader::Walk::sort(const Frame& frame) {
  const auto order = std::span(scratch_.order.get(), count_ - frame.members);
  if (const Member* const twice = sort_members(members_ + frame.members, order)) {
    refusal_ = named_twice(*twice);
    return false;
  }
  // The outermost is put together by close().
  if (Canonical && depth_ > 1) writer_.rearrange(order, frame.out + 1, scratch_.spare);
  return true;
}

template <bool Canonical>
bool QuestionReader::Walk::run() {
  const bool list = parameters_.lenient && peek() == '[';
  if (peek() != '{' && !list) {
    refusal_ = not_json("The body must be a JSON object.");
    return false;
  }
  for (;;) {  // each turn reads one value, and what stands between it and the next
    if (token_ == tokens_end_) return defect("it ends too early", end_);
    const char* const at = text_ + *token_++;
    const bool object = *at == '{';
    if (object || *at == '[') {
      if (!open<Canonical>(at, object)) return false;
      if (peek() != (object ? '}' : ']')) {
        if (object && !read_name<Canonical>()) return false;
        continue;
      }
      ++token_;
      if (!close<Canonical>()) return false;
    } else if (!read_scalar<Canonical>(at)) {
      return false;
    }

    while (depth_ > 0) {
      Frame& frame = top();
      const char next = peek();
      if (next == ',') {
        ++token_;
        ++frame.index;
        if (frame.object && !read_name<Canonical>()) return false;
        break;
      }
      if (next != (frame.object ? '}' : ']')) {
        return defect_at_token(frame.object ? "expected a comma or the end of an object"
                                            : "expected a comma or the end of an array");
      }
      ++token_;
      if (!close<Canonical>()) return false;
    }
    if (depth_ == 0) break;
  }
  if (token_ != tokens_end_) return defect_at_token("there is something behind its end");
  return true;
}

QuestionReader::QuestionReader() : scratch_(std::make_unique<Scratch>()) {}
QuestionReader::QuestionReader(QuestionReader&&) noexcept = default;
QuestionReader& QuestionReader::operator=(QuestionReader&&) noexcept = default;
QuestionReader::~QuestionReader() = default;

std::optional<Refusal> QuestionReader::read(Question& question, bool canonical) {
  question.model.clear();
  question.user.clear();
  question.model_at = question.stream_options_at = {};
  question.stream = question.include_usage = false;
  question.repeatable = question.tools = question.stored = false;
  question.max_tokens.reset();
  question.canonical.clear();

  const std::string_view body = question.body;
  if (body.empty()) return not_json("The body is empty; it must be a JSON object.");
  if (body.starts_with("\xef\xbb\xbf")) {
    return not_json(Defect{"it begins with a byte order mark", 0});
  }
  Scratch& scratch = *scratch_;
  std::optional<Refusal> refusal;
  if (const auto defect = scratch.tokens.find(body)) {
    refusal = not_json(*defect);
  } else {
    question.members_at = std::size_t{*scratch.tokens.begin()} + 1;
    if (canonical) grow(scratch.out, CanonicalWriter::bound(body.size()));
    Walk walk(scratch, question);
    const bool sound = canonical ? walk.run<true>() : walk.run<false>();
    refusal = sound ? finish(walk.parameters_, question) : walk.refusal();
  }
  if (refusal) question.canonical.clear();
  if (body.size() > kKeptBody || scratch.members_capacity > kKeptMembers) scratch = Scratch();
  return refusal;
}

}  // namespace penstock::dialect
