#include "http/compress.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "http/head.h"

namespace penstock::http {
namespace {

constexpr std::array<std::string_view, kPackings> kNames = {"zstd", "br", "gzip"};

// By effort. The dense ones of zstd and brotli take seconds for a body of megabytes, and the end of
// the program waits for one.
constexpr std::array kZstdLevel = {1, 19};
constexpr std::array kBrotliQuality = {1, 11};
constexpr std::array kGzipLevel = {1, 9};
constexpr std::size_t kLarge = 256 * 1024;
constexpr int kZstdLarge = 12;
constexpr int kBrotliLarge = 9;
constexpr int kGzipWindow = 15 + 16;  // zlib's own way to say gzip
constexpr int kGzipMemory = 8;

std::string with_zstd(Effort effort, std::string_view body) {
  int level = kZstdLevel[static_cast<std::size_t>(effort)];
  if (body.size() > kLarge) level = std::min(level, kZstdLarge);
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), level);
  out.resize(ZSTD_isError(size) != 0 ? 0 : size);
  return out;
}

std::string with_brotli(Effort effort, std::string_view body) {
  int quality = kBrotliQuality[static_cast<std::size_t>(effort)];
  if (body.size() > kLarge) quality = std::min(quality, kBrotliLarge);
  std::size_t size = BrotliEncoderMaxCompressedSize(body.size());
  std::string out(size, '\0');
  const auto* const in = reinterpret_cast<const std::uint8_t*>(body.data());
  auto* const to = reinterpret_cast<std::uint8_t*>(out.data());
  const bool good =
      size > 0 && BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT,
                                        body.size(), in, &size, to) == BROTLI_TRUE;
  out.resize(good ? size : 0);
  return out;
}

std::string with_gzip(Effort effort, std::string_view body) {
  z_stream z{};
  if (deflateInit2(&z, kGzipLevel[static_cast<std::size_t>(effort)], Z_DEFLATED, kGzipWindow,
                   kGzipMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    return {};
  }
  std::string out(deflateBound(&z, body.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));  // zlib only reads it
  z.avail_in = static_cast<uInt>(body.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const bool good = deflate(&z, Z_FINISH) == Z_STREAM_END;
  out.resize(good ? z.total_out : 0);
  deflateEnd(&z);
  return out;
}

// "gzip;q=0.5"
struct Taken {
  std::string_view name;
  double weight = 1;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// 0 to 1, in up to three digits (RFC 9110 section 12.4.2); what is no such number refuses.
double weight_of(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return 0;
  double weight = text[0] - '0';
  if (text.size() == 1) return weight;
  if (text[1] != '.' || text.size() > 5) return 0;
  double unit = 1;
  for (const char digit : text.substr(2)) {
    if (digit < '0' || digit > '9') return 0;
    unit /= 10;
    weight += unit * (digit - '0');
  }
  return std::min(weight, 1.0);
}

Taken read_item(std::string_view item) {
  Taken taken;
  const std::size_t end = item.find(';');
  taken.name = trimmed(item.substr(0, end));
  if (end == item.npos) return taken;
  const std::string_view parameter = trimmed(item.substr(end + 1));
  if (parameter.size() > 2 && (parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=') {
    taken.weight = weight_of(parameter.substr(2));
  }
  return taken;
}

}  // namespace

std::string_view name_of(Packing packing) { return kNames[static_cast<std::size_t>(packing)]; }

std::optional<Packing> packing_of(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Packing>(found - kNames.begin());
}

std::optional<Packing> negotiate(std::string_view accept_encoding,
                                 std::span<const Packing> offered) {
  if (accept_encoding.empty() || offered.empty()) return std::nullopt;
  constexpr double kNotNamed = -1;
  std::array<double, kPackings> weights = {kNotNamed, kNotNamed, kNotNamed};
  double others = 0, identity = kNotNamed;
  while (!accept_encoding.empty()) {
    const std::size_t end = accept_encoding.find(',');
    const Taken taken = read_item(accept_encoding.substr(0, end));
    accept_encoding.remove_prefix(end == accept_encoding.npos ? accept_encoding.size() : end + 1);
    for (std::size_t i = 0; i < kPackings; ++i) {
      if (equal_lower(taken.name, kNames[i])) weights[i] = taken.weight;
    }
    if (taken.name == "*") others = taken.weight;
    if (equal_lower(taken.name, "x-gzip"))
      weights[static_cast<std::size_t>(Packing::gzip)] = taken.weight;
    if (equal_lower(taken.name, "identity")) identity = taken.weight;
  }
  std::optional<Packing> best;
  double most = 0;
  for (const Packing packing : offered) {
    double weight = weights[static_cast<std::size_t>(packing)];
    if (weight == kNotNamed) weight = others;
    if (weight > most) {
      most = weight;
      best = packing;
    }
  }
  return identity > most ? std::nullopt : best;
}

std::string compress(Packing packing, Effort effort, std::string_view body) {
  switch (packing) {
    case Packing::zstd: return with_zstd(effort, body);
    case Packing::br: return with_brotli(effort, body);
    case Packing::gzip: break;
  }
  return with_gzip(effort, body);
}

}  // namespace penstock::http
