// How good an embedding model tells questions apart, at which threshold: by pairs of which it is
// known whether they mean the same (docs/semantic/pairs.jsonl).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::app {

struct SemanticPair {
  std::string a;
  std::string b;
  bool same = false;  // one's answer is the other's
};

// One pair a line: {"a": TEXT, "b": TEXT, "same": true or false}. An Error names the line.
Result<std::vector<SemanticPair>> read_semantic_pairs(std::string_view lines);

// Those that come with the program: docs/semantic/pairs.jsonl.
std::string_view shipped_semantic_pairs();

// A vector for each of these texts, in their order; of whatever length they are, all the same.
using EmbedTexts =
    std::function<Result<std::vector<std::vector<float>>>(std::span<const std::string> texts)>;

// For thresholds from 0.80 to 0.99 what would be a hit: true ones (pairs that mean the same), false
// ones, precision (true ones of all hits) and recall (of all that mean the same); and the pairs
// that do not mean the same and are most alike, up to `worst` of them. As a table, or as JSON.
// `embed` is called with at most 64 texts at a time. An Error is the first of embed's.
Result<std::string> report_semantic(std::span<const SemanticPair> pairs, const EmbedTexts& embed,
                                    bool as_json, std::size_t worst = 10);

}  // namespace penstock::app
