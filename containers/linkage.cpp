#include "containers/linkage.hpp"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <set>

#include "containers/program_exec.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::size_t kMaxHeaders = 128;           // of segments
constexpr std::size_t kMaxDynamicBytes = 1 << 16;  // of the dynamic section
constexpr std::size_t kMaxNameBytes = 4096;
constexpr std::size_t kMaxNames = 256;
constexpr std::size_t kMaxConfBytes = 1 << 16;

template <typename T>
std::optional<T> read_struct(const ReadAt& read, std::uint64_t offset) {
  const std::string bytes = read(offset, sizeof(T));
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

bool is_ours(const Elf64_Ehdr& header) {
  constexpr unsigned char kOrder =
      std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == kOrder &&
         header.e_phentsize == sizeof(Elf64_Phdr);
}

// Where in the file the address is that the dynamic section names.
std::optional<std::uint64_t> file_offset(const std::vector<Elf64_Phdr>& segments,
                                         std::uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const std::uint64_t into = address - segment.p_vaddr;
    if (into < segment.p_filesz) return segment.p_offset + into;
  }
  return std::nullopt;
}

std::string read_name(const ReadAt& read, std::uint64_t offset) {
  const std::string bytes = read(offset, kMaxNameBytes);
  const std::size_t end = bytes.find('\0');
  return end == std::string::npos ? std::string() : bytes.substr(0, end);
}

}  // namespace

std::optional<DynamicSection> parse_dynamic(const ReadAt& read) {
  const auto header = read_struct<Elf64_Ehdr>(read, 0);
  if (!header || !is_ours(*header) || header->e_phnum > kMaxHeaders) return std::nullopt;
  std::vector<Elf64_Phdr> segments;
  const Elf64_Phdr* dynamic = nullptr;
  segments.reserve(header->e_phnum);
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = read_struct<Elf64_Phdr>(read, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment) return std::nullopt;
    segments.push_back(*segment);
    if (segment->p_type == PT_DYNAMIC) dynamic = &segments.back();
  }
  if (dynamic == nullptr) return std::nullopt;
  const std::string bytes =
      read(dynamic->p_offset, std::min<std::uint64_t>(dynamic->p_filesz, kMaxDynamicBytes));
  std::vector<std::uint64_t> needed;
  std::vector<std::uint64_t> paths;
  std::optional<std::uint64_t> strings;
  for (std::size_t at = 0; at + sizeof(Elf64_Dyn) <= bytes.size(); at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_NEEDED && needed.size() < kMaxNames) needed.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH) paths.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_STRTAB) strings = file_offset(segments, entry.d_un.d_ptr);
  }
  DynamicSection section;
  if (!strings) return section;
  for (const std::uint64_t name : needed) {
    section.needed.push_back(read_name(read, *strings + name));
  }
  for (const std::uint64_t path : paths) {
    const std::string list = read_name(read, *strings + path);
    for (const std::string_view directory : split(list, ':')) {
      if (!directory.empty()) section.run_path.emplace_back(directory);
    }
  }
  std::erase(section.needed, "");
  return section;
}

namespace {

Fd open_regular(const std::string& path) {
  // Not to wait for the other end of a FIFO.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return Fd();
  return fd;
}

ReadAt reader(int fd) {
  return [fd](std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    const ssize_t got = ::pread(fd, bytes.data(), size, static_cast<off_t>(offset));
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  };
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Directories of the loader's configuration; includes are one deep, as distributions have them.
void read_conf(const std::string& path, std::vector<std::string>& directories, bool may_include) {
  const Fd fd = open_regular(path);
  if (!fd) return;
  const std::string text = reader(fd.get())(0, kMaxConfBytes);
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw.substr(0, raw.find('#')));
    if (line.starts_with('/')) directories.emplace_back(line);
    if (!line.starts_with("include ") || !may_include) continue;
    const std::string pattern(trim(line.substr(8)));
    const std::string directory = directory_of(pattern);
    DIR* const listing = ::opendir(directory.c_str());
    if (listing == nullptr) continue;
    std::vector<std::string> files;
    while (const dirent* entry = ::readdir(listing)) {
      const std::string_view name = entry->d_name;
      if (name.ends_with(".conf") && files.size() < kMaxNames) {
        files.push_back(cat(directory, "/", name));
      }
    }
    ::closedir(listing);
    std::ranges::sort(files);
    for (const std::string& file : files) read_conf(file, directories, false);
  }
}

std::vector<std::string> usual_directories(const std::vector<std::string>& env) {
  std::vector<std::string> directories;
  for (const std::string_view variable : env) {
    if (!variable.starts_with("LD_LIBRARY_PATH=")) continue;
    for (const std::string_view directory : split(variable.substr(16), ':')) {
      if (!directory.empty()) directories.emplace_back(directory);
    }
  }
  read_conf("/etc/ld.so.conf", directories, true);
  for (const char* directory :
       {"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"}) {
    directories.emplace_back(directory);
  }
  return directories;
}

struct File {
  std::string path;
  Fd fd;
};

std::optional<File> find_program_file(const std::string& argv0,
                                      const std::vector<std::string>& env) {
  for (const std::string& candidate : program_candidates(argv0, env)) {
    if (::access(candidate.c_str(), X_OK) != 0) continue;
    if (Fd fd = open_regular(candidate)) return File{candidate, std::move(fd)};
  }
  return std::nullopt;
}

std::optional<File> find_library(const std::string& name,
                                 const DynamicSection& needed_by,
                                 const std::string& origin,
                                 const std::vector<std::string>& usual) {
  if (name.find('/') != std::string::npos) {
    if (Fd fd = open_regular(name)) return File{name, std::move(fd)};
    return std::nullopt;
  }
  const auto look_in = [&](const std::string& directory) -> std::optional<File> {
    const std::string path = cat(directory, "/", name);
    if (Fd fd = open_regular(path)) return File{path, std::move(fd)};
    return std::nullopt;
  };
  for (std::string directory : needed_by.run_path) {
    for (const std::string_view word : {"$ORIGIN", "${ORIGIN}"}) {
      if (directory.starts_with(word)) directory = cat(origin, directory.substr(word.size()));
    }
    if (auto found = look_in(directory)) return found;
  }
  for (const std::string& directory : usual) {
    if (auto found = look_in(directory)) return found;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> find_linked_libraries(const std::string& argv0,
                                               const std::vector<std::string>& env) {
  std::vector<std::string> names;
  std::optional<File> program = find_program_file(argv0, env);
  if (!program) return names;
  const std::string start = reader(program->fd.get())(0, 256);
  if (start.starts_with("#!")) return {start.substr(0, start.find('\n'))};
  const std::vector<std::string> usual = usual_directories(env);
  std::set<std::string> seen;
  std::deque<File> to_read;
  to_read.push_back(*std::move(program));
  while (!to_read.empty()) {
    const File file = std::move(to_read.front());
    to_read.pop_front();
    const auto section = parse_dynamic(reader(file.fd.get()));
    if (!section) continue;
    for (const std::string& name : section->needed) {
      if (names.size() == kMaxLibraries || !seen.insert(name).second) continue;
      names.push_back(name);
      if (auto library = find_library(name, *section, directory_of(file.path), usual)) {
        to_read.push_back(*std::move(library));
      }
    }
  }
  return names;
}

}  // namespace gangway::containers
