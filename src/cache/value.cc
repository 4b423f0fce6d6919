#include "cache/value.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include <bit>
#include <cstring>

namespace penstock::cache {
namespace {

constexpr char kVersion = 1;
constexpr char kCompressed = 1;
constexpr std::size_t kChecksumAt = 4;
constexpr std::size_t kSizeAt = 12;
constexpr int kLevel = 1;  // beyond it the CPU is worth more than the bytes
// Of all that is not the body: bounded, since a damaged length must not ask for memory.
constexpr std::size_t kMostFields = 64 * 1024;

static_assert(std::endian::native == std::endian::little);

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  template <class Number>
  void number(Number value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof value);
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }

 private:
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  template <class Number>
  Number number() {
    Number value{};
    if (in_.size() < sizeof value) {
      good_ = false;
      return value;
    }
    std::memcpy(&value, in_.data(), sizeof value);
    in_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const auto size = number<std::uint32_t>();
    if (!good_ || size > in_.size()) {
      good_ = false;
      return {};
    }
    std::string text(in_.substr(0, size));
    in_.remove_prefix(size);
    return text;
  }
  std::string_view rest() const { return in_; }
  bool good() const { return good_; }

 private:
  std::string_view in_;
  bool good_ = true;
};

void write_fields(const Value& value, std::string& out) {
  Writer writer(out);
  writer.text(value.scope);
  writer.text(value.model);
  writer.text(value.engine);
  writer.number(static_cast<std::uint8_t>(value.tags.size()));
  for (const std::string& tag : value.tags) writer.text(tag);
  writer.number(static_cast<std::uint16_t>(value.status));
  writer.number(static_cast<std::uint8_t>(value.form));
  writer.number(value.stored_ms);
  writer.number(value.expires_ms);
  writer.number(value.made_us);
  writer.number(value.first_token_us);
  writer.number(value.usage.input);
  writer.number(value.usage.output);
  writer.number(value.usage.cached_input);
  writer.number(value.usage.reasoning);
  writer.number(value.purge);
}

std::optional<Value> read_content(std::string_view content) {
  Reader reader(content);
  Value value;
  value.scope = reader.text();
  value.model = reader.text();
  value.engine = reader.text();
  const std::size_t tags = reader.number<std::uint8_t>();
  if (tags > kMostTags) return std::nullopt;
  for (std::size_t i = 0; i < tags; ++i) value.tags.push_back(reader.text());
  value.status = reader.number<std::uint16_t>();
  const auto form = reader.number<std::uint8_t>();
  if (form > static_cast<std::uint8_t>(Form::stream_with_usage)) return std::nullopt;
  value.form = static_cast<Form>(form);
  value.stored_ms = reader.number<std::int64_t>();
  value.expires_ms = reader.number<std::int64_t>();
  value.made_us = reader.number<std::int64_t>();
  value.first_token_us = reader.number<std::int64_t>();
  value.usage.input = reader.number<std::uint64_t>();
  value.usage.output = reader.number<std::uint64_t>();
  value.usage.cached_input = reader.number<std::uint64_t>();
  value.usage.reasoning = reader.number<std::uint64_t>();
  value.purge = reader.number<std::uint64_t>();
  if (!reader.good()) return std::nullopt;
  value.body = reader.rest();
  return value;
}

}  // namespace

void seal(std::string& bytes) {
  if (bytes.size() < kValueHead) return;
  const std::uint64_t sum = XXH3_64bits(bytes.data() + kSizeAt, bytes.size() - kSizeAt);
  std::memcpy(bytes.data() + kChecksumAt, &sum, sizeof sum);
}

std::string encode(const Value& value, std::uint64_t compress_over) {
  std::string out = {'P', 'S', kVersion, 0};
  out.resize(kValueHead);
  write_fields(value, out);
  out += value.body;
  const std::size_t size = out.size() - kValueHead;
  if (size > compress_over) {
    std::string packed(kValueHead + ZSTD_compressBound(size), '\0');
    const std::size_t took = ZSTD_compress(packed.data() + kValueHead, packed.size() - kValueHead,
                                           out.data() + kValueHead, size, kLevel);
    if (ZSTD_isError(took) == 0 && took < size) {
      std::memcpy(packed.data(), out.data(), kChecksumAt);
      packed[kChecksumAt - 1] = kCompressed;
      packed.resize(kValueHead + took);
      out = std::move(packed);
    }
  }
  const auto raw = static_cast<std::uint32_t>(size);
  std::memcpy(out.data() + kSizeAt, &raw, sizeof raw);
  seal(out);
  return out;
}

std::optional<Value> decode(std::string_view bytes, std::size_t most_body) {
  if (bytes.size() < kValueHead || !bytes.starts_with("PS") || bytes[2] != kVersion) {
    return std::nullopt;
  }
  const char flags = bytes[kChecksumAt - 1];
  if ((flags & ~kCompressed) != 0) return std::nullopt;
  std::uint64_t sum = 0;
  std::uint32_t size = 0;
  std::memcpy(&sum, bytes.data() + kChecksumAt, sizeof sum);
  std::memcpy(&size, bytes.data() + kSizeAt, sizeof size);
  if (size > most_body + kMostFields) return std::nullopt;
  if (XXH3_64bits(bytes.data() + kSizeAt, bytes.size() - kSizeAt) != sum) return std::nullopt;
  const std::string_view content = bytes.substr(kValueHead);
  if ((flags & kCompressed) == 0) {
    if (content.size() != size) return std::nullopt;
    return read_content(content);
  }
  std::string unpacked(size, '\0');
  const std::size_t got =
      ZSTD_decompress(unpacked.data(), unpacked.size(), content.data(), content.size());
  if (ZSTD_isError(got) != 0 || got != size) return std::nullopt;
  return read_content(unpacked);
}

}  // namespace penstock::cache
