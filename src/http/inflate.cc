#include "http/inflate.h"

#include <zlib.h>

#include <algorithm>

#include "http/head.h"

namespace penstock::http {
namespace {

// zlib's own way to say which format: the window's size, and 16 more for gzip alone.
constexpr int kWindow = 15;
constexpr int kGzip = 16;

}  // namespace

std::optional<Coding> coding_of(std::string_view content_encoding) {
  if (equal_lower(content_encoding, "gzip") || equal_lower(content_encoding, "x-gzip")) {
    return Coding::gzip;
  }
  if (equal_lower(content_encoding, "deflate")) return Coding::deflate;
  return std::nullopt;
}

struct Inflater::Stream {
  explicit Stream(Coding coding)
      : ready(inflateInit2(&z, coding == Coding::gzip ? kWindow + kGzip : kWindow) == Z_OK) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { inflateEnd(&z); }

  z_stream z{};
  bool ready;  // or there was no memory for it
};

Inflater::Inflater(Coding coding, std::string_view in)
    : stream_(std::make_unique<Stream>(coding)), in_(in) {}

Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;
Inflater::~Inflater() = default;

Inflater::Step Inflater::next(char* out, std::size_t room) {
  if (!stream_->ready) return {State::bad, 0};
  z_stream& stream = stream_->z;
  const std::size_t given = std::min(in_.size(), kStep);
  room = std::min(room, kStep);
  // zlib is older than const; it does not write there.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in_.data()));
  stream.avail_in = static_cast<uInt>(given);
  stream.next_out = reinterpret_cast<Bytef*>(out);
  stream.avail_out = static_cast<uInt>(room);
  const int said = inflate(&stream, Z_NO_FLUSH);
  in_.remove_prefix(given - stream.avail_in);
  const std::size_t produced = room - stream.avail_out;
  if (said == Z_STREAM_END) return {in_.empty() ? State::end : State::bad, produced};
  // Z_BUF_ERROR: neither bytes to take nor room were left. With room, the body is cut short.
  const bool starved = in_.empty() && stream.avail_out > 0;
  if (said != Z_OK || starved) return {State::bad, produced};
  return {State::more, produced};
}

}  // namespace penstock::http
