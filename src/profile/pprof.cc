#include "profile/pprof.h"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <new>

namespace penstock::profile {
namespace {

// A message of Protocol Buffers: https://protobuf.dev/programming-guides/encoding/
class Message {
 public:
  void number(unsigned field, std::uint64_t value) {
    if (value == 0) return;  // what is absent is 0
    key(field, 0);
    varint(value);
  }
  void number(unsigned field, std::int64_t value) {
    number(field, static_cast<std::uint64_t>(value));
  }
  void bytes(unsigned field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    out_ += value;
  }
  void message(unsigned field, const Message& value) { bytes(field, value.out_); }
  template <class T>
  void packed(unsigned field, const std::vector<T>& values) {
    Message all;
    for (const T value : values) all.varint(static_cast<std::uint64_t>(value));
    bytes(field, all.out_);
  }
  const std::string& text() const { return out_; }

 private:
  void key(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

class Writer {
 public:
  explicit Writer(const Symbols& symbols) : symbols_(symbols) { text(""); }

  std::string write(const Profile& profile) {
    for (const Measure& measure : profile.measures) out_.message(1, value_type(measure));
    for (const Sample& sample : profile.samples) {
      std::vector<std::uint64_t> places;
      places.reserve(sample.frames.size());
      for (const Address frame : sample.frames) places.push_back(location(frame));
      Message one;
      one.packed(1, places);
      one.packed(2, sample.values);
      out_.message(2, one);
    }
    write_mappings();
    const auto nanoseconds = [](auto duration) {
      return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
    };
    const std::uint64_t comment =
        profile.lost == 0 ? 0 : text(std::to_string(profile.lost) + " samples were lost");
    const Message period_type = value_type(profile.period_type);
    const std::uint64_t shown = text(profile.measures[profile.shown].type);
    for (const std::string* const one : texts_) out_.bytes(6, *one);
    out_.number(9, static_cast<std::int64_t>(nanoseconds(profile.begin.time_since_epoch())));
    out_.number(10, static_cast<std::int64_t>(nanoseconds(profile.took)));
    out_.message(11, period_type);
    out_.number(12, profile.period);
    if (comment != 0) out_.packed(13, std::vector{comment});
    out_.number(14, shown);
    return out_.text();
  }

 private:
  std::uint64_t text(const std::string& value) {
    const auto [at, made] = text_numbers_.try_emplace(value, texts_.size());
    if (made) texts_.push_back(&at->first);
    return at->second;
  }

  Message value_type(const Measure& measure) {
    Message out;
    out.number(1, text(measure.type));
    out.number(2, text(measure.unit));
    return out;
  }

  std::uint64_t location(Address address) {
    const auto [at, made] = locations_.try_emplace(address, locations_.size() + 1);
    if (!made) return at->second;
    const Named named = symbols_.at(address);
    Message line;
    line.number(1, function(named));
    Message out;
    out.number(1, at->second);
    if (named.mapping < symbols_.mappings().size()) out.number(2, std::uint64_t{named.mapping + 1});
    out.number(3, std::uint64_t{address});
    out.message(4, line);
    out_.message(4, out);
    return at->second;
  }

  std::uint64_t function(const Named& named) {
    const auto [at, made] = functions_.try_emplace(named.symbol, functions_.size() + 1);
    if (!made) return at->second;
    Message out;
    out.number(1, at->second);
    out.number(2, text(named.name));
    out.number(3, text(named.symbol));
    out_.message(5, out);
    return at->second;
  }

  void write_mappings() {
    std::uint64_t number = 0;
    for (const Mapping& mapping : symbols_.mappings()) {
      Message out;
      out.number(1, ++number);
      out.number(2, std::uint64_t{mapping.begin});
      out.number(3, std::uint64_t{mapping.end});
      out.number(4, mapping.offset);
      out.number(5, text(mapping.path));
      out.number(6, text(mapping.build_id));
      out.number(7, std::uint64_t{1});  // has_functions
      out_.message(3, out);
    }
  }

  const Symbols& symbols_;
  Message out_;
  std::map<std::string, std::uint64_t> text_numbers_;
  std::vector<const std::string*> texts_;  // in text_numbers_
  std::map<Address, std::uint64_t> locations_;
  std::map<std::string, std::uint64_t> functions_;
};

std::string gzip(const std::string& text) {
  constexpr int kGzip = 15 + 16;  // the largest window, and gzip's wrapping
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();  // of fixed parameters there is no other reason
  }
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace

std::string pprof(const Profile& profile, const Symbols& symbols) {
  return gzip(Writer(symbols).write(profile));
}

}  // namespace penstock::profile
