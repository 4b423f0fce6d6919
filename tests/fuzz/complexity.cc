// A question's complexity: of any bytes a score between 0 and 1 or none, always the same, and the
// class that goes with it. The first byte says whether it is a chat or a completion.
#include "complexity/complexity.h"

#include <cmath>

#include "check.h"

namespace penstock::fuzz {
namespace {

void look(complexity::Analyser& analyser, Endpoint endpoint, std::string_view body) {
  const auto judged = analyser.judge(endpoint, body);
  FUZZ_CHECK(judged == complexity::Analyser().judge(endpoint, body), body);
  if (!judged) return;
  FUZZ_CHECK(judged->score >= 0 && judged->score <= 1, body);
  FUZZ_CHECK(judged->kind == complexity::class_of(judged->score), body);
  for (const float feature : analyser.features()) FUZZ_CHECK(std::isfinite(feature), body);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  static complexity::Analyser analyser;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  if (all.empty()) return 0;
  const Endpoint endpoint = all.front() % 2 == 0 ? Endpoint::chat : Endpoint::completions;
  // A copy of its own size, so that one byte too far is seen.
  const fuzz::Bytes body(all.substr(1));
  fuzz::look(analyser, endpoint, body.text());
  return 0;
}
