// The names of addresses: what the symbol tables of the program and of its libraries say.
//
// Read when asked for and given back with the object; a program that was stripped, and what no file
// holds (the kernel's vdso), have no names: then the file's name stands for the function.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "profile/stack.h"

namespace penstock::profile {

// A stretch of code in memory, and what file it comes from.
struct Mapping {
  Address begin = 0;
  Address end = 0;
  std::uint64_t offset = 0;  // of `begin` in the file
  std::string path;
  std::string build_id;  // hexadecimal; empty: it has none
};

struct Named {
  std::string name;         // for people: without parameters
  std::string symbol;       // as the linker knows it
  std::size_t mapping = 0;  // among mappings(); their count: none of them
};

class Symbols {
 public:
  Symbols();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  const std::vector<Mapping>& mappings() const { return mappings_; }
  Named at(Address address) const;

 private:
  class File;
  std::vector<Mapping> mappings_;
  std::vector<std::size_t> file_of_;  // of each mapping
  std::vector<Address> bases_;        // likewise: what is added to the addresses of its file
  std::vector<std::unique_ptr<File>> files_;
};

// "penstock::gateway::serve" of "_ZN8penstock..."; a coroutine's parts have the coroutine's name.
// What is no C++ stays as it is.
std::string readable_name(const std::string& symbol);

}  // namespace penstock::profile
