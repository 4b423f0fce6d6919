// What was found wrong in a file, and where in it each value stands.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "settings/settings.h"

namespace penstock::settings {

struct Position {
  std::size_t line = 0;
  std::size_t column = 0;
};

// What a problem says, without its place.
struct Complaint {
  std::string message;
  std::string expected = {};
  std::string nearest = {};
};

class Report {
 public:
  explicit Report(std::string_view file) : file_(file) {}

  // Remembers where a key and its value stand.
  void place(const std::string& path, Position key, Position value);
  bool given(const std::string& path) const { return places_.contains(path); }

  // Remembers that a value came from the environment or from another file: it may be a secret.
  void from_outside(const std::string& path) { outside_.insert(path); }
  // A good value, for a message: quoted, or "its value" where it came from outside.
  std::string named(const std::string& path, std::string_view value) const;

  void add(Position at, std::string_view path, Complaint complaint);
  // At the value of `path`, or of the nearest thing around it that is in the file.
  void add_at_value(const std::string& path, Complaint complaint);
  // Likewise at its key.
  void add_at_key(const std::string& path, Complaint complaint);

  // Whether something was found wrong with `path` or in it.
  bool faulty(std::string_view path) const;
  bool empty() const { return problems_.empty(); }
  // In the order of the file.
  Problems take();

 private:
  struct Place {
    Position key;
    Position value;
  };
  const Place& around(std::string_view path) const;

  std::string file_;
  std::unordered_map<std::string, Place> places_;
  std::unordered_set<std::string> outside_;
  Place start_{{1, 1}, {1, 1}};
  Problems problems_;
};

}  // namespace penstock::settings
