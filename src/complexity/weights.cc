// The weights, as the 200 questions to tune on gave them (docs/complexity.md says how): logistic
// regression with two thresholds, its squared weights held down. Each is of the feature as it is,
// so that a weight times a feature is what that feature added.

#include "complexity/complexity.h"

namespace penstock::complexity {

const std::array<Weight, kFeatures>& weights() {
  static constexpr std::array<Weight, kFeatures> kWeights = {
      Weight{"words", 0.221F},
      Weight{"bytes", 0.035F},
      Weight{"pasted", -0.190F},
      Weight{"questions", -0.349F},
      Weight{"commas", 0.200F},
      Weight{"numbers", 0.155F},
      Weight{"long_words", 0.190F},
      Weight{"mathematics", 0.146F},
      Weight{"sentences", -0.196F},
      Weight{"longest_sentence", 0.412F},
      Weight{"code_lines", 0.108F},
      Weight{"list_items", -0.387F},
      Weight{"brief", -0.554F},
      Weight{"fact", -0.020F},
      Weight{"asks", 0.186F},
      Weight{"choice", -1.510F},
      Weight{"answer_size", -0.205F},
      Weight{"small_task", -0.788F},
      Weight{"social", -0.609F},
      Weight{"explain", -0.195F},
      Weight{"make", 0.050F},
      Weight{"work", 0.313F},
      Weight{"fault", 0.313F},
      Weight{"prove", 0.755F},
      Weight{"design", 0.919F},
      Weight{"depth", -0.612F},
      Weight{"systems", 0.495F},
      Weight{"expert", 0.998F},
      Weight{"deep_mathematics", 0.642F},
      Weight{"demands", 0.371F},
      Weight{"sequence", 0.412F},
      Weight{"turns", 0.102F},
      Weight{"tools", 0.362F},
      Weight{"system_brief", -1.140F},
      Weight{"system_hard", 1.286F},
      Weight{"hard_times_words", 0.086F},
      Weight{"hard_kinds", 0.268F},
      Weight{"light_per_words", -3.077F},
      Weight{"tasks_times_commas", 0.055F},
      Weight{"task_not_light", 0.353F},
  };
  return kWeights;
}

}  // namespace penstock::complexity
