// JSON written without a tree: straight to the end of a string.
//
//   JsonWriter json(out);
//   json.begin_object().member("id",
//   7).key("tags").begin_array().value("a").end_array().end_object();
//   -> {"id":7,"tags":["a"]}
//
// The writer keeps no stack: whether a comma is due is seen from the last byte written.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::dialect {

// Appends a JSON string with its quotes (RFC 8259 section 7): control bytes, quotes and
// backslashes escaped, ill-formed UTF-8 replaced by U+FFFD, everything else as it is.
void write_string(std::string& out, std::string_view text);
// The same without the quotes, for strings written in pieces. A piece that ends within a
// character loses it: cut between characters.
void write_string_part(std::string& out, std::string_view text);

// Appends the shortest decimal that reads back as the same value; null for what is not finite.
void write_number(std::string& out, double value);

class JsonWriter {
 public:
  // Appends one value to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out), begin_(out.size()) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }

  // The name of a member; its value comes next.
  JsonWriter& key(std::string_view name) {
    separate();
    write_string(out_, name);
    out_ += ':';
    return *this;
  }

  JsonWriter& value(std::string_view text) {
    separate();
    write_string(out_, text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& value(double number) {
    separate();
    write_number(out_, number);
    return *this;
  }
  template <std::integral Integer>
  JsonWriter& value(Integer number) {
    separate();
    if constexpr (std::signed_integral<Integer>) {
      write_signed(static_cast<std::int64_t>(number));
    } else {
      write_unsigned(static_cast<std::uint64_t>(number));
    }
    return *this;
  }
  JsonWriter& null() { return raw("null"); }
  // One value that is JSON already. REQUIRES: not empty, no white space around it.
  JsonWriter& raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
  }

  template <class Value>
  JsonWriter& member(std::string_view name, const Value& given) {
    key(name);
    return value(given);
  }
  JsonWriter& member_null(std::string_view name) {
    key(name);
    return null();
  }
  JsonWriter& member_raw(std::string_view name, std::string_view json) {
    key(name);
    return raw(json);
  }

 private:
  // No complete value ends in one of these bytes, and something incomplete always does.
  void separate() {
    if (out_.size() == begin_) return;
    const char last = out_.back();
    if (last != '{' && last != '[' && last != ':') out_ += ',';
  }
  JsonWriter& open(char bracket) {
    separate();
    out_ += bracket;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_ += bracket;
    return *this;
  }
  void write_signed(std::int64_t number);
  void write_unsigned(std::uint64_t number);

  std::string& out_;
  std::size_t begin_;
};

}  // namespace penstock::dialect
