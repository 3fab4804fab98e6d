#include "core/memory.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace ron::core {

namespace fs = std::filesystem;

namespace {

std::string read_text(const fs::path& p) {
  std::ifstream in{p};
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

/// The number at the start of `text`; nothing for "max" and for version 1's "no limit", which is
/// a number near 2^63.
std::optional<std::uint64_t> limit_in(std::string_view text) {
  std::uint64_t v = 0;
  auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (err != std::errc{} || v >= std::uint64_t{1} << 62)
    return std::nullopt;
  return v;
}

/// The least limit in `group` and the groups above it, up to and including `top`.
std::optional<std::uint64_t> least_limit(const fs::path& top, std::string_view group,
                                         const char* file) {
  std::optional<std::uint64_t> least;
  auto dir = top / fs::path{group}.relative_path();
  for (;;) {
    if (auto v = limit_in(read_text(dir / file)))
      least = std::min(least.value_or(*v), *v);
    if (dir == top || !dir.has_relative_path())
      return least;
    dir = dir.parent_path();
    if (dir.native().size() < top.native().size())
      return least;
  }
}

bool names_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    auto comma = controllers.find(',');
    if (controllers.substr(0, comma) == "memory")
      return true;
    controllers.remove_prefix(comma == controllers.npos ? controllers.size() : comma + 1);
  }
  return false;
}

/// Pages of /proc/self/statm: total, resident, resident of files.
struct pages {
  unsigned long long total = 0;
  unsigned long long resident = 0;
  unsigned long long of_files = 0;
};

pages read_pages() noexcept {
  char buf[128];
  pages out;
  int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return out;
  auto n = ::read(fd, buf, sizeof(buf) - 1);
  ::close(fd);
  if (n > 0) {
    buf[n] = '\0';
    if (std::sscanf(buf, "%llu %llu %llu", &out.total, &out.resident, &out.of_files) != 3)
      out = {};
  }
  return out;
}

std::uint64_t page_size() noexcept {
  return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t count_fds() noexcept {
  auto* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr)
    return 0;
  std::uint64_t n = 0;
  while (auto* e = ::readdir(dir))
    if (e->d_name[0] != '.')
      ++n;
  ::closedir(dir);
  return n > 0 ? n - 1 : 0; // without the one that counted
}

/// Field 22 of /proc/self/stat in ticks since boot, plus the boot time of /proc/stat.
double start_time() {
  auto stat = read_text("/proc/self/stat");
  auto after_name = stat.rfind(')'); // the name may contain anything
  auto machine = read_text("/proc/stat");
  auto boot = machine.find("\nbtime ");
  if (after_name == stat.npos || boot == machine.npos)
    return 0;
  std::istringstream fields{stat.substr(after_name + 1)};
  std::string skip;
  for (int i = 3; i < 22; ++i)
    fields >> skip;
  double ticks = 0;
  fields >> ticks;
  auto boot_s = std::strtod(machine.c_str() + boot + 7, nullptr);
  return boot_s + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

} // namespace

std::optional<std::uint64_t> cgroup_memory_limit(const fs::path& cgroups, std::string_view self) {
  std::optional<std::uint64_t> least;
  while (!self.empty()) {
    auto end = self.find('\n');
    auto line = self.substr(0, end);
    self.remove_prefix(end == self.npos ? self.size() : end + 1);
    // <id>:<controllers>:<path>; version 2 has id 0 and no controllers.
    auto first = line.find(':');
    auto second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos)
      continue;
    auto controllers = line.substr(first + 1, second - first - 1);
    auto group = line.substr(second + 1);
    std::optional<std::uint64_t> v;
    if (controllers.empty())
      v = least_limit(cgroups, group, "memory.max");
    else if (names_memory(controllers))
      v = least_limit(cgroups / "memory", group, "memory.limit_in_bytes");
    if (v)
      least = std::min(least.value_or(*v), *v);
  }
  return least;
}

std::uint64_t available_memory() {
  struct sysinfo machine {};
  std::uint64_t ram = 0;
  if (::sysinfo(&machine) == 0)
    ram = static_cast<std::uint64_t>(machine.totalram) * machine.mem_unit;
  auto limit = cgroup_memory_limit("/sys/fs/cgroup", read_text("/proc/self/cgroup"));
  return limit && *limit < ram ? *limit : ram;
}

process_usage read_process_usage() {
  process_usage out;
  auto p = read_pages();
  out.resident_bytes = p.resident * page_size();
  out.virtual_bytes = p.total * page_size();
  out.open_fds = count_fds();
  if (rlimit r{}; ::getrlimit(RLIMIT_NOFILE, &r) == 0)
    out.max_fds = r.rlim_cur;
  if (rusage u{}; ::getrusage(RUSAGE_SELF, &u) == 0)
    out.cpu_seconds = static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
                      + static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
  static const double started = start_time();
  out.start_unix_seconds = started;
  return out;
}

std::uint64_t raise_descriptor_limit() noexcept {
  rlimit r{};
  if (::getrlimit(RLIMIT_NOFILE, &r) != 0)
    return 1'024; // cannot happen; what every system allows
  const auto before = r.rlim_cur;
  r.rlim_cur = r.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &r) == 0 ? r.rlim_cur : before;
}

std::uint64_t private_bytes() noexcept {
  const auto p = read_pages();
  return (p.resident - std::min(p.resident, p.of_files)) * page_size();
}

} // namespace ron::core
