// Where a byte of a text stands, as an editor shows it: lines and characters, from 1.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "settings/report.h"
#include "settings/text.h"

namespace penstock::settings {

class Lines {
 public:
  // REQUIRES: the text outlives this.
  explicit Lines(std::string_view text) : text_(text) {
    for (std::size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) {
      starts_.push_back(at + 1);
    }
  }

  // A line without its end, counted from 0; empty where there is none.
  std::string_view line(std::size_t index) const {
    if (index >= starts_.size()) return {};
    const std::size_t end = index + 1 < starts_.size() ? starts_[index + 1] - 1 : text_.size();
    return text_.substr(starts_[index], end - starts_[index]);
  }

  // REQUIRES: at <= size of the text.
  Position of_byte(std::size_t at) const {
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), at);
    const auto index = static_cast<std::size_t>(next - starts_.begin()) - 1;
    return {index + 1, characters(text_.substr(starts_[index], at - starts_[index])) + 1};
  }

  // Of the byte `offset` in the line `index`, both counted from 0. Cheap where one call is a
  // little further on than the one before: a line can be the whole file.
  Position of_byte_in_line(std::size_t index, std::size_t offset) {
    const std::string_view text = line(index);
    offset = std::min(offset, text.size());
    if (index != last_.line || offset < last_.offset) last_ = {index, 0, 0};
    last_.characters += characters(text.substr(last_.offset, offset - last_.offset));
    last_.offset = offset;
    return {index + 1, last_.characters + 1};
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_{0};
  struct {
    std::size_t line = 0;
    std::size_t offset = 0;
    std::size_t characters = 0;
  } last_;
};

}  // namespace penstock::settings
