#include "settings/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "settings/text.h"

namespace penstock::settings {
namespace {

// A file that is not about settings at all would otherwise be answered with a flood.
constexpr std::size_t kMostProblems = 200;

}  // namespace

void Report::place(const std::string& path, Position key, Position value) {
  places_.emplace(path, Place{key, value});
}

std::string Report::named(const std::string& path, std::string_view value) const {
  return outside_.contains(path) ? "its value" : shown(value);
}

void Report::add(Position at, std::string_view path, Complaint complaint) {
  problems_.push_back({file_, at.line, at.column, printable(path), std::move(complaint.message),
                       std::move(complaint.expected), std::move(complaint.nearest)});
}

void Report::add_at_value(const std::string& path, Complaint complaint) {
  add(around(path).value, path, std::move(complaint));
}

void Report::add_at_key(const std::string& path, Complaint complaint) {
  add(around(path).key, path, std::move(complaint));
}

bool Report::faulty(std::string_view path) const {
  return std::any_of(problems_.begin(), problems_.end(), [&](const Problem& problem) {
    const std::string_view other = problem.path;
    return other.starts_with(path) &&
           (other.size() == path.size() || other[path.size()] == '.' || other[path.size()] == '[');
  });
}

Problems Report::take() {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return a.line != b.line ? a.line < b.line : a.column < b.column;
  });
  if (problems_.size() > kMostProblems) {
    const std::size_t more = problems_.size() - kMostProblems;
    problems_.resize(kMostProblems);
    const Problem& last = problems_.back();
    problems_.push_back(
        {file_, last.line, last.column, "", fmt::format("and {} further problems", more), "", ""});
  }
  return std::move(problems_);
}

const Report::Place& Report::around(std::string_view path) const {
  for (;;) {
    if (const auto found = places_.find(std::string(path)); found != places_.end()) {
      return found->second;
    }
    const std::size_t cut = path.find_last_of(".[");
    if (cut == path.npos) return start_;
    path = path.substr(0, cut);
  }
}

std::string to_string(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += fmt::format(":{}:{}", problem.line, problem.column);
  text += ": ";
  if (!problem.path.empty()) text += problem.path + ": ";
  text += problem.message;
  if (!problem.expected.empty()) text += "; expected " + problem.expected;
  if (!problem.nearest.empty()) text += fmt::format("; did you mean \"{}\"?", problem.nearest);
  return text;
}

}  // namespace penstock::settings
