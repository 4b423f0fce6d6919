#include "cache/semantic_file.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/clock.h"

namespace penstock::cache {
namespace {

constexpr std::string_view kMagic{"PENSEM\x01\x00", 8};  // with the version
constexpr std::size_t kHead = 16;
constexpr std::size_t kBuffer = 1024 * 1024;
constexpr Duration kSaved = 5min;             // how often
constexpr std::size_t kMostName = 64 * 1024;  // of a scope or a place

static_assert(std::endian::native == std::endian::little);

Error failed(std::string_view what, const std::string& path, int error) {
  return Error{Kind::internal, Source::gateway, false,
               std::string(what) + ' ' + path + ": " + std::strerror(error)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Bytes on their way into a file, and their checksum.
class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {
    XXH3_64bits_reset(&checksum_);
    buffer_.assign(kHead, '\0');  // its place; written last
  }

  template <class Number>
  void number(Number value) {
    bytes({reinterpret_cast<const char*>(&value), sizeof value});
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes(text);
  }
  void bytes(std::string_view bytes) {
    XXH3_64bits_update(&checksum_, bytes.data(), bytes.size());
    buffer_ += bytes;
    if (buffer_.size() >= kBuffer) flush();
  }
  // 0, or the system's error.
  int finish() {
    flush();
    std::string head(kMagic);
    const std::uint64_t sum = XXH3_64bits_digest(&checksum_);
    head.append(reinterpret_cast<const char*>(&sum), sizeof sum);
    if (error_ == 0 &&
        pwrite(fd_, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) {
      error_ = errno;
    }
    if (error_ == 0 && fsync(fd_) != 0) error_ = errno;
    return error_;
  }

 private:
  void flush() {
    std::string_view rest = buffer_;
    while (error_ == 0 && !rest.empty()) {
      const ssize_t written = write(fd_, rest.data(), rest.size());
      if (written > 0) {
        rest.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    buffer_.clear();
  }

  const int fd_;
  int error_ = 0;
  std::string buffer_;
  XXH3_state_t checksum_;
};

class Mapping {
 public:
  Mapping(int fd, std::size_t size)
      : size_(size), at_(mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (good()) munmap(at_, size_);
  }
  bool good() const { return at_ != MAP_FAILED; }
  std::string_view bytes() const { return {static_cast<const char*>(at_), size_}; }

 private:
  const std::size_t size_;
  void* const at_;
};

struct Found {
  std::string_view scope;
  std::string_view place;
  Key key{};
  std::uint64_t used = 0;
  std::string_view vector;
};

// Takes an item off the bytes. False: it is none.
bool take(std::string_view& bytes, Found& item) {
  const auto number = [&](auto& value) {
    if (bytes.size() < sizeof value) return false;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return true;
  };
  const auto text = [&](std::string_view& out) {
    std::uint32_t size = 0;
    if (!number(size) || size > kMostName || size > bytes.size()) return false;
    out = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return true;
  };
  std::uint32_t dimensions = 0;
  if (!text(item.scope) || !text(item.place) || !number(item.key) || !number(item.used) ||
      !number(dimensions)) {
    return false;
  }
  const std::size_t size = std::size_t{dimensions} * sizeof(float);
  if (dimensions == 0 || dimensions > SemanticIndex::kMostDimensions || size > bytes.size()) {
    return false;
  }
  item.vector = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

// All items, or nothing where one is none.
std::optional<std::vector<Found>> items_of(std::string_view bytes) {
  if (bytes.size() < kHead || !bytes.starts_with(kMagic)) return std::nullopt;
  std::uint64_t sum = 0;
  std::memcpy(&sum, bytes.data() + kMagic.size(), sizeof sum);
  bytes.remove_prefix(kHead);
  if (XXH3_64bits(bytes.data(), bytes.size()) != sum) return std::nullopt;
  std::vector<Found> items;
  while (!bytes.empty()) {
    if (!take(bytes, items.emplace_back())) return std::nullopt;
  }
  return items;
}

}  // namespace

Result<void> save(const SemanticIndex& index, const std::string& folder) {
  std::error_code made;
  if (std::filesystem::create_directories(folder, made)) chmod(folder.c_str(), 0700);
  const std::string path = folder + '/' + std::string(kSemanticFile);
  const std::string beside = path + ".new";
  {
    // Whose question was like whose is nobody else's to read.
    const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return failed("cannot write", beside, errno);
    Writer writer(file.get());
    index.each([&](const SemanticIndex::Item& item) {
      writer.text(item.scope);
      writer.text(item.place);
      writer.bytes({reinterpret_cast<const char*>(item.key.data()), item.key.size()});
      writer.number(item.used);
      writer.number(static_cast<std::uint32_t>(item.vector.size()));
      writer.bytes({reinterpret_cast<const char*>(item.vector.data()), item.vector.size_bytes()});
    });
    if (const int error = writer.finish(); error != 0) {
      unlink(beside.c_str());
      return failed("cannot write", beside, error);
    }
  }
  if (rename(beside.c_str(), path.c_str()) != 0) return failed("cannot rename", beside, errno);
  return {};
}

Result<std::size_t> load(SemanticIndex& index, const std::string& folder) {
  const std::string path = folder + '/' + std::string(kSemanticFile);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::size_t{0};
    return failed("cannot read", path, errno);
  }
  struct stat state {};
  if (fstat(file.get(), &state) != 0) return failed("cannot read", path, errno);
  const Error foreign{Kind::invalid, Source::gateway, false,
                      path + " is damaged, or no semantic index of this version"};
  if (!S_ISREG(state.st_mode) || state.st_size < static_cast<off_t>(kHead)) return foreign;
  const Mapping mapping(file.get(), static_cast<std::size_t>(state.st_size));
  if (!mapping.good()) return failed("cannot read", path, errno);
  std::optional<std::vector<Found>> items = items_of(mapping.bytes());
  if (!items) return foreign;
  std::sort(items->begin(), items->end(),
            [](const Found& a, const Found& b) { return a.used < b.used; });
  std::vector<float> vector;
  for (const Found& item : *items) {
    vector.resize(item.vector.size() / sizeof(float));
    std::memcpy(vector.data(), item.vector.data(), item.vector.size());
    // A unit vector already, but for a file that somebody else made.
    if (normalise(vector)) index.add(item.scope, item.place, item.key, vector);
  }
  return items->size();
}

SemanticKeeper::SemanticKeeper(SemanticIndex& index, std::string folder,
                               std::function<void(const Error&)> warn)
    : index_(index), folder_(std::move(folder)), warn_(std::move(warn)) {
  if (const Result<std::size_t> loaded = load(index_, folder_); !loaded) warn_(loaded.error());
  saved_ = index_.stats().changes;
  thread_ = std::thread([this] { run(); });
}

SemanticKeeper::~SemanticKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  save_changes();
}

void SemanticKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kSaved, [this] { return stopping_; })) {
    lock.unlock();
    save_changes();
    lock.lock();
  }
}

void SemanticKeeper::save_changes() {
  const std::uint64_t now = index_.stats().changes;
  if (now == saved_) return;
  if (const Result<void> saved = save(index_, folder_); !saved) {
    warn_(saved.error());
  } else {
    saved_ = now;
  }
}

}  // namespace penstock::cache
