// A folder of documents on disk: which files it has, and when it is worth another look.
//
// Changes are announced by inotify. What it does not announce is looked at every two seconds: that
// the path leads to another folder (`mv`, `ln -sfn`), is gone or has come back, and that links
// below it lead elsewhere. Where inotify is not to be had, all of the folder is looked at instead.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "observe/log.h"

namespace penstock::engine {

// Changes whenever a file's content may have changed; that of a link is its target's.
struct Stamp {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;  // content, rights or links
  std::uint64_t size = 0;       // bytes
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

class Folder {
 public:
  using Files = std::map<std::string, Stamp>;  // by name, relative to the folder

  // `stop_event`: an eventfd that ends every wait when it is written.
  Folder(std::string path, int stop_event, observe::Log& log);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // Markdown and text files below the folder, whether they can be read or not. The error says why
  // the folder itself could not be.
  Result<Files> list();

  // A document's text: UTF-8, at most 32 MiB. Kind::invalid: it will not do until it changes.
  Result<std::string> read(const std::string& name) const;

  // Until something may have changed, `at_most` has passed, or stopping().
  void wait(Duration at_most);
  bool stopping() const;

 private:
  using Identity = std::pair<dev_t, ino_t>;

  void forget_watches();
  void drain();
  void watch(const std::filesystem::path& folder);
  // The error that ended it before the folder's end, if any.
  std::error_code walk(const std::filesystem::path& folder, Files& files);
  void follow_links(Files& files);
  void settle();
  bool moved() const;
  void complain(const std::filesystem::path& path, std::string_view why);

  const std::filesystem::path path_;
  const int stop_event_;
  observe::Log& log_;
  int inotify_ = -1;
  std::set<int> watches_;
  bool announced_ = true;
  std::optional<Identity> root_;  // what the path led to

  std::map<std::string, std::optional<Stamp>> links_;  // all, and where they led
  std::map<std::string, std::filesystem::path> to_follow_;
  std::set<Identity> walked_;
  std::map<std::string, std::string> said_;    // complaints of the last listing,
  std::map<std::string, std::string> saying_;  // and of this one
};

}  // namespace penstock::engine
