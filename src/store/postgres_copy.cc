#include "store/postgres_copy.h"

#include <bit>
#include <type_traits>

#include "store/text.h"
#include "store/usage_write.h"

namespace penstock::store {
namespace {

constexpr std::string_view kHead("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::size_t kAbout = 420;  // bytes of a row

template <class Number>
void put(std::string& out, Number number) {
  const auto bits = static_cast<std::make_unsigned_t<Number>>(number);
  for (std::size_t i = sizeof(Number); i-- > 0;) {
    out += static_cast<char>((bits >> (8 * i)) & 0xFFU);
  }
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void big(std::int64_t number) {
    put(out_, std::int32_t{8});
    put(out_, number);
  }
  void integer(std::int32_t number) {
    put(out_, std::int32_t{4});
    put(out_, number);
  }
  void text(std::string_view text) {
    if (!storable(text)) {
      const std::string made = made_storable(text);
      raw(made);
    } else {
      raw(text);
    }
  }
  void real(const std::optional<double>& number) {
    if (!number) return null();
    put(out_, std::int32_t{8});
    put(out_, std::bit_cast<std::int64_t>(*number));
  }
  void big(const std::optional<std::int64_t>& number) {
    if (!number) return null();
    big(*number);
  }
  void uuid(const Uuid& uuid) {
    put(out_, std::int32_t{16});
    std::array<unsigned, 32> digits{};  // of what is no UUID as many as there are
    std::size_t count = 0;
    for (const char digit : uuid) {
      if (digit == '-' || count == digits.size()) continue;
      digits[count++] = static_cast<unsigned>(digit >= 'a' ? digit - 'a' + 10 : digit - '0') & 0xFU;
    }
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      out_ += static_cast<char>(digits[i] << 4U | digits[i + 1]);
    }
  }

 private:
  void null() { put(out_, std::int32_t{-1}); }
  void raw(std::string_view bytes) {
    put(out_, static_cast<std::int32_t>(bytes.size()));
    out_ += bytes;
  }
  std::string& out_;
};

std::int64_t whole(std::uint64_t number) { return static_cast<std::int64_t>(number); }

}  // namespace

std::string copy_of(const std::vector<UsageRow>& rows, std::int64_t batch, bool text) {
  std::string out;
  out.reserve(kHead.size() + rows.size() * kAbout + 2);
  out += kHead;
  Writer to(out);
  for (const UsageRow& row : rows) {
    put(out, static_cast<std::int16_t>(kUsageColumns + 1));
    to.big(batch);
    to.big(row.time_us);
    to.uuid(row.id);
    to.text(row.tenant);
    to.text(row.key);
    to.text(row.model);
    to.text(row.engine);
    to.text(row.route);
    to.integer(row.status);
    to.text(row.cache);
    to.big(whole(row.count));
    to.big(whole(row.tokens.input));
    to.big(whole(row.tokens.output));
    to.big(whole(row.tokens.cached_input));
    to.big(whole(row.tokens.reasoning));
    to.big(row.cost);
    to.real(row.complexity);
    to.big(row.duration_us);
    to.big(row.engine_us);
    to.big(row.first_token_us);
    to.text(row.session);
    to.text(row.request_id);
    to.text(row.trace_id);
    to.text(row.error);
    to.text(text ? std::string_view(row.question) : std::string_view());
    to.text(text ? std::string_view(row.answer) : std::string_view());
  }
  put(out, std::int16_t{-1});
  return out;
}

}  // namespace penstock::store
