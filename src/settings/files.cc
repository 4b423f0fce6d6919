#include "settings/files.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

namespace penstock::settings {

FileText read_file(const std::string& path, std::size_t most) {
  FileText file;
  const auto failed = [&] { file.error = std::generic_category().message(errno); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(path.c_str(), "rbe"),
                                                           &std::fclose);
  if (!in) {
    failed();
    return file;
  }
  std::array<char, 16384> block;
  while (const std::size_t n = std::fread(block.data(), 1, block.size(), in.get())) {
    file.text.append(block.data(), n);
    if (file.text.size() > most) {
      file.error = fmt::format("is larger than {} bytes", most);
      file.too_large = true;
      return file;
    }
  }
  if (std::ferror(in.get()) != 0) failed();
  return file;
}

}  // namespace penstock::settings
