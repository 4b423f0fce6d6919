// A file of the usage spool, as a crash, a disk or somebody's hand may have left it.
//
// What must hold: nothing outside of it is read; reading ends; a record that is accepted is one
// that the program could have written: written again it is the same bytes. The input is taken as it
// is, and once more behind a good head, so that records are reached.
#include <cstring>
#include <vector>

#include "check.h"
#include "store/record.h"
#include "store/segment.h"

namespace penstock::fuzz {
namespace {

using namespace store;  // NOLINT(google-build-using-namespace): all of it is looked at

void check_row(const Record& record) {
  const std::optional<UsageRow> row = read_row(record.kind, record.payload, record.lines);
  if (!row) return;
  FUZZ_CHECK(record.kind == kRow || record.kind == kSum);
  if (record.kind == kSum) {
    const auto counters = read_counters(record.lines);
    FUZZ_CHECK(row->count == (counters ? counters->count : 0));
    return;
  }
  std::string again(encoded_size(*row), '\0');
  FUZZ_CHECK(again.size() == record.payload.size());
  encode(*row, row->id, again.data());
  const std::optional<UsageRow> twice = decode(again);
  FUZZ_CHECK(twice && twice->id == row->id && twice->time_us == row->time_us);
  FUZZ_CHECK(twice->answer == row->answer && twice->tenant == row->tenant, row->answer);
}

void check_records(std::string_view text, std::size_t tail, std::size_t at) {
  Record record;
  std::size_t last = at;
  for (;;) {
    const Found found = read_record(text, tail, at, record);
    if (found == Found::end) break;
    if (found == Found::lost) {
      FUZZ_CHECK(at == last);
      break;
    }
    FUZZ_CHECK(at > last && at <= tail && at <= text.size());
    FUZZ_CHECK(record.lines.size() % kLine == 0);
    const auto inside = [&](std::string_view part) {
      return part.empty() ||
             (part.data() >= text.data() + last && part.data() + part.size() <= text.data() + at);
    };
    FUZZ_CHECK(inside(record.payload) && inside(record.lines));
    last = at;
    if (found == Found::record) check_row(record);
  }
}

void check_segment(std::string_view text) {
  const Bytes bytes(text);
  const SegmentHead head = read_head(bytes.text());
  if (head.what != SegmentHead::What::good) return;
  FUZZ_CHECK(head.tail <= text.size() && head.done <= head.tail && head.done >= kSegmentHead);
  check_records(bytes.text(), head.tail, head.done);
}

// A segment in memory that holds the input as rows and as a sum, with one byte changed.
void check_written(std::string_view input) {
  static const std::unique_ptr<Segment> segment = Segment::in_memory(1 << 16, 1, 1);
  segment->reuse(1);
  Chance chance(input);
  std::vector<std::string> written;
  std::string_view rest = input.substr(0, 4096);
  while (!rest.empty() || written.empty()) {
    UsageRow row;
    row.time_us = static_cast<std::int64_t>(chance.below(1000));
    row.answer = rest.substr(0, chance.below(600) + 1);
    rest.remove_prefix(row.answer.size());
    const std::size_t size = encoded_size(row);
    const bool sum = chance.one_in(3);
    char* const to = segment->begin(sum ? kSum : kRow, size, sum ? kSumLines : 0);
    if (to == nullptr) break;
    encode(row, row.id, to);
    if (sum) {
      auto* const lines = reinterpret_cast<Counters*>(segment->lines());
      for (std::size_t i = chance.below(4); i > 0; --i) add_hit(lines, {1, 2, 3, 4}, 5, 6);
    }
    segment->commit();
    written.push_back(row.answer);
  }
  std::string bytes(segment->bytes().substr(0, segment->tail()));
  const SegmentHead head = read_head(bytes);
  FUZZ_CHECK(head.what == SegmentHead::What::good);
  std::size_t at = head.done;
  Record record;
  for (const std::string& answer : written) {
    FUZZ_CHECK(read_record(bytes, head.tail, at, record) == Found::record);
    const auto row = read_row(record.kind, record.payload, record.lines);
    FUZZ_CHECK(row && row->answer == answer, answer);
  }
  FUZZ_CHECK(read_record(bytes, head.tail, at, record) == Found::end);

  bytes[chance.below(bytes.size())] ^= static_cast<char>(1 + chance.below(255));
  check_segment(bytes);
  // And the input itself in the place of the records.
  const std::string head_only(segment->bytes().substr(0, kSegmentHead));
  std::string other = head_only + std::string(input);
  other.resize((other.size() + 7) / 8 * 8);
  const std::uint64_t tail = other.size();
  std::memcpy(other.data() + 64, &tail, sizeof tail);
  check_segment(other);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = penstock::fuzz::text_of(data, size);
  penstock::fuzz::check_segment(input);
  penstock::fuzz::check_written(input);
  return 0;
}
