#include "profile/symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>

#include <fmt/format.h>

namespace penstock::profile {
namespace {

constexpr const char* kSelf = "/proc/self/exe";  // also of one that was replaced on disk meanwhile

// The file's name alone.
std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// What `text` is without what stands from `open` to the bracket that closes it, at the end.
std::string_view without_end(std::string_view text, char open, char close) {
  if (!text.ends_with(close)) return text;
  int depth = 0;
  for (std::size_t i = text.size(); i-- > 0;) {
    if (text[i] == close) ++depth;
    if (text[i] == open && --depth == 0) return text.substr(0, i);
  }
  return text;
}

bool take_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

}  // namespace

std::string readable_name(const std::string& symbol) {
  // GCC's own endings: a part of a coroutine, of a function that was split or specialised. A
  // coroutine's part takes a frame of which no demangler knows the name: its name ends before, and
  // takes nothing.
  std::string plain = symbol;
  if (const std::size_t frame = plain.find("PZ");
      plain.find(".Frame") != plain.npos && frame != plain.npos) {
    plain.replace(frame, plain.npos, "v");
  }
  std::string_view mangled = plain;
  const std::size_t dot = mangled.find('.', 1);
  if (dot != mangled.npos && mangled.starts_with("_Z")) mangled = mangled.substr(0, dot);
  int code = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(
      abi::__cxa_demangle(std::string(mangled).c_str(), nullptr, nullptr, &code), &std::free);
  if (!demangled) return symbol;
  std::string_view name = demangled.get();
  while (take_end(name, " const") || take_end(name, " &") || take_end(name, " &&")) {
  }
  name = without_end(name, '(', ')');
  // What a template returns stands before its name.
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '<' || c == '(' || c == '{' || c == '[') ++depth;
    if (c == '>' || c == ')' || c == '}' || c == ']') --depth;
    if (depth != 0) continue;
    if (c == ' ') begin = i + 1;
    // What follows may have brackets and spaces of its own.
    if (name.substr(i).starts_with("operator") && (i == begin || name[i - 1] == ':')) break;
  }
  name.remove_prefix(begin);
  return std::string(name);
}

// An ELF file in memory, and its functions by address.
class Symbols::File {
 public:
  explicit File(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat facts {};
    if (::fstat(file, &facts) == 0 && facts.st_size > 0) {
      const auto size = static_cast<std::size_t>(facts.st_size);
      void* const pages = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
      if (pages != MAP_FAILED) bytes_ = {static_cast<const char*>(pages), size};
    }
    ::close(file);
    read();
  }
  ~File() {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): as it came
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // The function at this address of the file; empty: there is none.
  std::string at(std::uint64_t value) const {
    auto found = std::upper_bound(functions_.begin(), functions_.end(), value,
                                  [](std::uint64_t v, const Function& f) { return v < f.value; });
    if (found == functions_.begin()) return {};
    --found;
    // Some, of assembler, have no size: they end where the next begins.
    if (found->size != 0 && value >= found->value + found->size) return {};
    return found->name;
  }

 private:
  struct Function {
    std::uint64_t value;
    std::uint64_t size;
    const char* name;
  };

  // Of a file that may be anything: nothing beyond its end is read.
  template <class T>
  std::span<const T> part(std::uint64_t offset, std::uint64_t count) const {
    if (offset > bytes_.size() || offset % alignof(T) != 0 ||
        count > (bytes_.size() - offset) / sizeof(T)) {
      return {};
    }
    return {reinterpret_cast<const T*>(bytes_.data() + offset), count};
  }

  void read() {
    const auto head = part<ElfW(Ehdr)>(0, 1);
    if (head.empty() || std::memcmp(head[0].e_ident, ELFMAG, SELFMAG) != 0 ||
        head[0].e_shentsize != sizeof(ElfW(Shdr))) {
      return;
    }
    const auto sections = part<ElfW(Shdr)>(head[0].e_shoff, head[0].e_shnum);
    for (const unsigned wanted : {unsigned{SHT_SYMTAB}, unsigned{SHT_DYNSYM}}) {
      for (const ElfW(Shdr) & section : sections) {
        if (section.sh_type == wanted && section.sh_link < sections.size()) {
          take(section, sections[section.sh_link]);
        }
      }
      if (!functions_.empty()) break;  // the first has all that the second has
    }
    std::sort(functions_.begin(), functions_.end(), [](const Function& a, const Function& b) {
      return std::pair(a.value, a.size) < std::pair(b.value, b.size);
    });
  }

  void take(const ElfW(Shdr) & section, const ElfW(Shdr) & names) {
    const auto texts = part<char>(names.sh_offset, names.sh_size);
    if (texts.empty() || texts.back() != '\0') return;
    for (const ElfW(Sym) & symbol :
         part<ElfW(Sym)>(section.sh_offset, section.sh_size / sizeof(ElfW(Sym)))) {
      const auto type = symbol.st_info & 0xf;
      if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF ||
          symbol.st_name >= texts.size()) {
        continue;
      }
      functions_.push_back({symbol.st_value, symbol.st_size, texts.data() + symbol.st_name});
    }
  }

  std::span<const char> bytes_;
  std::vector<Function> functions_;
};

namespace {

// Padded to words, as ELF's notes are.
std::size_t padded(std::size_t size) { return (size + 3) / 4 * 4; }

std::string build_id_of(const dl_phdr_info& object) {
  for (const ElfW(Phdr) & part : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
    if (part.p_type != PT_NOTE) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): where the loader put it
    const char* at = reinterpret_cast<const char*>(object.dlpi_addr + part.p_vaddr);
    const char* const end = at + part.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof(note));
      const char* const name = at + sizeof(note);
      const char* const text = name + padded(note.n_namesz);
      if (text + note.n_descsz > end) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
          std::memcmp(name, "GNU", 4) == 0) {
        std::string hex;
        for (std::size_t i = 0; i < note.n_descsz; ++i) {
          hex += fmt::format("{:02x}", static_cast<unsigned char>(text[i]));
        }
        return hex;
      }
      at = text + padded(note.n_descsz);
    }
  }
  return {};
}

// One object of the process: where it lies, and the stretches of code in it.
struct Object {
  std::string path;
  std::string build_id;
  Address base = 0;
  std::vector<Mapping> code;
};

int take_object(dl_phdr_info* found, std::size_t, void* to) {
  Object object;
  object.path = found->dlpi_name;
  object.base = found->dlpi_addr;
  object.build_id = build_id_of(*found);
  for (const ElfW(Phdr) & part : std::span(found->dlpi_phdr, found->dlpi_phnum)) {
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
    const Address begin = object.base + part.p_vaddr;
    object.code.push_back({begin, begin + part.p_memsz, part.p_offset, {}, object.build_id});
  }
  static_cast<std::vector<Object>*>(to)->push_back(std::move(object));
  return 0;
}

}  // namespace

Symbols::Symbols() {
  std::vector<Object> objects;
  ::dl_iterate_phdr(&take_object, &objects);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    Object& object = objects[i];
    const bool self = i == 0;  // the program itself comes first, without a name
    files_.push_back(std::make_unique<File>(self ? kSelf : object.path.c_str()));
    if (self) {
      char path[4096];
      const ssize_t length = ::readlink(kSelf, path, sizeof(path));
      object.path = length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "penstock";
    }
    for (Mapping& mapping : object.code) {
      mapping.path = object.path;
      mappings_.push_back(std::move(mapping));
      file_of_.push_back(i);
      bases_.push_back(object.base);
    }
  }
}

Symbols::~Symbols() = default;

Named Symbols::at(Address address) const {
  Named named;
  const auto found = std::find_if(mappings_.begin(), mappings_.end(), [&](const Mapping& one) {
    return address >= one.begin && address < one.end;
  });
  named.mapping = static_cast<std::size_t>(found - mappings_.begin());
  if (found == mappings_.end()) {
    named.name = named.symbol = "[unknown]";
    return named;
  }
  named.symbol = files_[file_of_[named.mapping]]->at(address - bases_[named.mapping]);
  if (named.symbol.empty()) named.symbol = '[' + file_name(found->path) + ']';
  named.name = readable_name(named.symbol);
  return named;
}

}  // namespace penstock::profile
