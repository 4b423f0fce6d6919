// A caller's trace context: what is taken of it is what was written, and is written as it came
// (W3C Trace Context, level 2).
#include "check.h"
#include "trace/context.h"

namespace penstock::fuzz {
namespace {

bool hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == text.npos; }

// A plain reading of the standard's grammar.
bool good(std::string_view field) {
  if (field.size() < 55) return false;
  const std::string_view version = field.substr(0, 2), trace = field.substr(3, 32),
                         span = field.substr(36, 16), flags = field.substr(53, 2);
  if (!hex(version) || !hex(trace) || !hex(span) || !hex(flags)) return false;
  if (field[2] != '-' || field[35] != '-' || field[52] != '-' || version == "ff") return false;
  if (trace.find_first_not_of('0') == trace.npos || span.find_first_not_of('0') == span.npos) {
    return false;
  }
  return field.size() == 55 || (version != "00" && field[55] == '-');
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock;
  const fuzz::Bytes bytes(fuzz::text_of(data, size));
  const std::string_view field = bytes.text();
  const std::optional<trace::Context> context = trace::parse_traceparent(field);
  FUZZ_CHECK(context.has_value() == fuzz::good(field), field);
  if (!context) return 0;
  const trace::Traceparent again = trace::traceparent(*context);
  FUZZ_CHECK(trace::text(again).substr(3, 50) == field.substr(3, 50), field);
  FUZZ_CHECK(trace::parse_traceparent(trace::text(again)) == context, field);
  return 0;
}
