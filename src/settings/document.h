// A YAML file as a tree with positions: read whole, bounded, or refused.
//
// The only place that knows the YAML library. Aliases are expanded here, under a bound; keys that
// stand twice, tags, further documents and everything that is not plain UTF-8 text end here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "settings/report.h"

namespace penstock::settings {

struct Member;

struct Node {
  enum class Kind : std::uint8_t { nothing, text, list, mapping };
  Kind kind = Kind::nothing;
  Position at;
  std::string text;
  std::vector<Node> items;
  std::vector<Member> members;
};

struct Member {
  std::string name;
  Position at;
  Node value;
};

inline constexpr std::size_t kLargestFile = 1u << 20;

// The file's tree; what is wrong with it goes into `report`, and then there may be no tree.
std::optional<Node> read_document(std::string_view yaml, Report& report);

}  // namespace penstock::settings
