#include "engine/folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <simdjson.h>

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostFile = 32 * 1024 * 1024;  // bytes; larger ones are no documents
constexpr int kSettleMs = 200;                         // editors write a file in several steps
constexpr int kSettleTurns = 5;
constexpr Duration kCheck = 2s;  // what is not announced
constexpr Duration kLook = 5s;   // where nothing is announced

bool is_document(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".md" || extension == ".markdown" || extension == ".txt" ||
         extension == ".rst" || extension == ".adoc";
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::optional<struct stat> status_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

Stamp stamp_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim),
          static_cast<std::uint64_t>(status.st_size)};
}

std::optional<Stamp> stamp_at(const fs::path& path) {
  const auto status = status_of(path);
  if (!status) return std::nullopt;
  return stamp_of(*status);
}

Error bad(Kind kind, std::string why) { return {kind, Source::gateway, false, std::move(why)}; }

}  // namespace

Folder::Folder(std::string path, int stop_event, observe::Log& log)
    : path_(std::move(path)), stop_event_(stop_event), log_(log) {}

// The kernel lets close() of an inotify wait until all its watches are gone everywhere, which takes
// up to ten seconds on a busy machine: no thread that others wait for may stand there.
Folder::~Folder() {
  if (inotify_ >= 0) std::thread([inotify = inotify_] { ::close(inotify); }).detach();
}

// ---- what there is ---------------------------------------------------------------------------

Result<Folder::Files> Folder::list() {
  const auto status = status_of(path_);
  if (!status || !S_ISDIR(status->st_mode)) {
    const std::string why = status ? "it is no folder" : std::strerror(errno);
    root_.reset();
    return bad(Kind::not_found, why);
  }
  const Identity now{status->st_dev, status->st_ino};
  if (root_ != now) forget_watches();  // they stay with the folders that were there before
  root_ = now;
  links_.clear();
  to_follow_.clear();
  walked_.clear();
  saying_.clear();
  Files files;
  const std::error_code failed = walk(path_, files);
  if (failed) {
    root_.reset();  // the next check looks again
    return bad(Kind::internal, failed.message());
  }
  follow_links(files);
  said_ = std::move(saying_);
  return files;
}

std::error_code Folder::walk(const fs::path& folder, Files& files) {
  const auto self = status_of(folder);
  if (!self) return {errno, std::generic_category()};
  walked_.emplace(self->st_dev, self->st_ino);
  watch(folder);
  std::error_code ec;
  fs::directory_iterator entries(folder, ec);
  if (ec) return ec;
  for (; entries != fs::directory_iterator(); entries.increment(ec)) {
    if (stopping()) return {};
    const fs::path& path = entries->path();
    const std::string name = path.filename().string();
    if (name.starts_with('.')) continue;
    std::error_code ignored;
    const fs::file_type type = entries->symlink_status(ignored).type();
    if (type == fs::file_type::directory) {
      const std::error_code failed = walk(path, files);
      // Not there: it went while it was looked at.
      if (failed && failed != std::errc::no_such_file_or_directory) {
        complain(path, failed.message());
      }
      continue;
    }
    const bool link = type == fs::file_type::symlink;
    if (!link && (type != fs::file_type::regular || !is_document(path))) continue;
    const auto status = status_of(path);
    if (link) {
      links_[path.string()] = status ? std::optional(stamp_of(*status)) : std::nullopt;
    }
    if (!status) {
      if (link && is_document(path)) complain(path, "the link leads nowhere");
    } else if (link && S_ISDIR(status->st_mode)) {
      to_follow_[path.string()] = path;
    } else if (S_ISREG(status->st_mode) && is_document(path)) {
      std::string relative = path.lexically_relative(path_).string();
      if (simdjson::validate_utf8(relative)) {
        files.emplace(std::move(relative), stamp_of(*status));
      } else {
        complain(path, "its name is not UTF-8");
      }
    }
  }
  return ec;
}

// A link to a folder is followed where it stays inside (Kubernetes mounts `sub -> ..data/sub`), and
// once for each folder, so that there is an end to it. In the order of names, after all that is
// there without links: the same folder gives the same files everywhere.
void Folder::follow_links(Files& files) {
  std::error_code ec;
  const fs::path root = fs::canonical(path_, ec);
  while (!to_follow_.empty() && !stopping()) {
    const fs::path link = std::move(to_follow_.extract(to_follow_.begin()).mapped());
    const auto status = status_of(link);
    if (!status || walked_.contains({status->st_dev, status->st_ino})) continue;
    const fs::path target = fs::canonical(link, ec);
    if (ec) continue;
    const fs::path inside = target.lexically_relative(root);
    if (inside.empty() || *inside.begin() == "..") {
      complain(link, "it is a link to a folder elsewhere");
      continue;
    }
    const std::error_code failed = walk(link, files);
    if (failed) complain(link, failed.message());
  }
}

Result<std::string> Folder::read(const std::string& name) const {
  // Whatever the name has become meanwhile: opening a pipe must not hang.
  const int file = ::open((path_ / name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return bad(Kind::internal, std::string("it cannot be read: ") + strerror(errno));
  const auto work = [&]() -> Result<std::string> {
    struct stat status {};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
      return bad(Kind::internal, "it is no file");
    }
    const Error large = bad(Kind::invalid, "it is larger than 32 MiB");
    if (static_cast<std::uint64_t>(status.st_size) > kMostFile) return large;
    std::string text;
    for (;;) {
      const std::size_t before = text.size();
      text.resize(
          std::max<std::size_t>(before + 64 * 1024, static_cast<std::size_t>(status.st_size) + 1));
      const ssize_t got = ::read(file, text.data() + before, text.size() - before);
      if (got < 0 && errno == EINTR) {
        text.resize(before);
        continue;
      }
      if (got < 0) {
        return bad(Kind::internal, std::string("it cannot be read: ") + strerror(errno));
      }
      text.resize(before + static_cast<std::size_t>(got));
      if (text.size() > kMostFile) return large;  // it grows while it is read
      if (got == 0) break;
    }
    if (text.find('\0') != std::string::npos || !simdjson::validate_utf8(text)) {
      return bad(Kind::invalid, "it is not UTF-8 text");
    }
    return text;
  };
  Result<std::string> text = work();
  ::close(file);
  return text;
}

// A reason is said once, until it has passed or another takes its place.
void Folder::complain(const fs::path& path, std::string_view why) {
  const auto before = said_.find(path.string());
  if (before == said_.end() || before->second != why) {
    log_.warning("documents are left out", {{"path", path.string()}, {"reason", why}});
  }
  saying_[path.string()] = why;
}

// ---- changes ---------------------------------------------------------------------------------

// Without closing the inotify: see the destructor.
void Folder::forget_watches() {
  if (inotify_ < 0) inotify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  announced_ = inotify_ >= 0;
  for (const int watch : watches_) inotify_rm_watch(inotify_, watch);
  watches_.clear();
  drain();  // that they are gone is no news
}

void Folder::drain() {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(inotify_, buffer, sizeof buffer);
    if (got <= 0) return;
    for (const char* at = buffer; at < buffer + got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      if ((event->mask & IN_IGNORED) != 0) watches_.erase(event->wd);
      at += sizeof *event + event->len;
    }
  }
}

void Folder::watch(const fs::path& folder) {
  if (!announced_) return;
  // Watching what is watched already changes nothing.
  constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE |
                                    IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB |
                                    IN_ONLYDIR;
  const int watch = inotify_add_watch(inotify_, folder.c_str(), kEvents);
  if (watch >= 0) {
    watches_.insert(watch);
    return;
  }
  if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return;  // the walk will tell
  log_.warning("changes of a folder are not announced: it is looked at every 5 s",
               {{"folder", folder.string()}, {"reason", std::strerror(errno)}});
  announced_ = false;
}

bool Folder::stopping() const {
  pollfd wait{stop_event_, POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

void Folder::wait(Duration at_most) {
  const auto ms = [](Duration time) {
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  pollfd waits[2] = {{stop_event_, POLLIN, 0}, {inotify_, POLLIN, 0}};
  if (!announced_) {
    ::poll(waits, 1, ms(std::min(at_most, kLook)));
    return;
  }
  // poll() passes over an inotify of -1, which is there before a first listing went well.
  for (Duration waited{}; waited < at_most; waited += kCheck) {
    const int ready = ::poll(waits, 2, ms(kCheck));
    if (stopping()) return;
    if (ready > 0 && waits[1].revents != 0) return settle();
    if (moved()) return;
  }
}

// Until nothing has come for a moment; a folder that never rests is looked at each second.
void Folder::settle() {
  pollfd waits[2] = {{stop_event_, POLLIN, 0}, {inotify_, POLLIN, 0}};
  for (int turn = 0; turn <= kSettleTurns && !stopping(); ++turn) {
    drain();
    if (turn == kSettleTurns || ::poll(waits, 2, kSettleMs) == 0) break;
  }
}

// Whether the path, or a link below it, leads to something else than it did.
bool Folder::moved() const {
  const auto status = status_of(path_);
  const auto now = status && S_ISDIR(status->st_mode)
                       ? std::optional<Identity>({status->st_dev, status->st_ino})
                       : std::nullopt;
  if (now != root_) return true;
  return std::any_of(links_.begin(), links_.end(),
                     [](const auto& link) { return stamp_at(link.first) != link.second; });
}

}  // namespace penstock::engine
