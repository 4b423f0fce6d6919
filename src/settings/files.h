// Reading a small file whole.
#pragma once

#include <string>

namespace penstock::settings {

struct FileText {
  std::string text;
  std::string error;       // empty where it was read: "No such file or directory"
  bool too_large = false;  // then there is an error too
};

FileText read_file(const std::string& path, std::size_t most);

}  // namespace penstock::settings
