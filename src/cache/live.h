// An answer in progress, as other nodes may follow it: a string in Redis that grows.
//
//   flight of the node that leads ──tell_live──> APPEND penstock:live:{key}
//       ──told by tracking──> GETRANGE ──Leases::follow──> flight of a node that follows
//
// It is written only while somebody wants it, and lives for seconds behind the last byte. Frames:
//
//   type 1 | size 4, little endian | content
//
//   'h'  version 1, id 16, status 2, length 8 (all ones: not known), purge 8, then each with its
//   size in 4
//        bytes before it: scope, content type, and names and values of header fields
//   'd'  bytes of the body
//   'e'  that was all
//   'x'  it has failed
//
// It begins with one 'h'. The id is that of the lease, another with each call: who has read nothing
// yet follows only the one whose lease stands. What has another version, another scope, or no
// meaning is not followed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/uuid.h"
#include "cache/flight.h"
#include "cache/key.h"
#include "redis/client.h"

namespace penstock::cache {

std::string live_name(const Key& key);
std::string new_live_id(Random& random);

// Type, size, version and id of the first frame.
inline constexpr std::size_t kLiveStart = 5 + 1 + 16;

std::string live_head(std::string_view id, std::string_view scope, const Flight::Head& head);
void add_live_frame(std::string& out, char type, std::string_view content);

// Frames out of pieces of any size.
class LiveFrames {
 public:
  static constexpr std::size_t kMostFrame = 64 * 1024 * 1024;

  struct Frame {
    char type = 0;
    std::string_view content;  // until more is added
  };
  void add(std::string_view bytes) {
    bytes_.erase(0, read_);
    read_ = 0;
    bytes_.append(bytes);
  }
  // Nothing: it is not there whole.
  std::optional<Frame> next();
  bool broken() const { return broken_; }  // what came is no frame

 private:
  std::string bytes_;
  std::size_t read_ = 0;
  bool broken_ = false;
};

// Of an 'h' frame's content. Nothing: it is of another version or scope, or has no meaning.
std::optional<Flight::Head> read_live_head(std::string_view content, std::string_view scope);

// Whether others want an answer, between who holds its lease and who tells of it.
struct LiveWish {
  bool wanted = true;
  bool over = false;  // it cannot be told, or has been told whole
};

// Tells of the flight that `reader` reads until it ends, nobody wants it any more, or the lease is
// another's; nothing of what only failed, since others then ask themselves. The reader keeps the
// flight going. A Redis that does not answer is asked again for a while. May be done again from the
// beginning for the same lease: it tells the same.
struct LiveTelling {
  std::shared_ptr<redis::Client> client;
  Key key;
  std::string lease;  // its name
  std::string id;     // of the lease: new_live_id()
  std::string scope;
  std::unique_ptr<Reader> reader;
  std::shared_ptr<LiveWish> wish;
  std::uint64_t purge;  // the flight's
  Time until;
};
Task<void> tell_live(Loop& loop, LiveTelling telling);

}  // namespace penstock::cache
