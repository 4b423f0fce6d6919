// The simulated engine's embeddings: no model, but similar texts have similar vectors.
//
// A text is a bag of its words and of their trigrams of characters. Each is hashed to a place of
// the vector and to a sign (Weinberger et al., "Feature hashing for large scale multitask
// learning", ICML 2009), so the cosine of two vectors is about the share of what their texts have
// in common. Nothing of meaning is in it: "not" is a word like others, and a synonym is another
// word.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/exchange.h"

namespace penstock::engine {

inline constexpr std::size_t kSimulatedDimensions = 256;

// A unit vector; equal texts have equal ones. Letters of ASCII in either case are the same.
std::vector<float> simulated_embedding(std::string_view text, std::size_t dimensions,
                                       std::uint64_t seed);

// The answer's body: a vector for each input. Nothing: the question's body is no JSON.
std::optional<std::string> simulated_embeddings(const Question& question, std::uint64_t seed);

}  // namespace penstock::engine
