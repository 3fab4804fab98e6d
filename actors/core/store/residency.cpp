#include "core/store/residency.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace ron::core::store {

namespace {

/// The pages that `v` lies in.
struct page_span {
  explicit page_span(byte_view v, std::size_t bytes_max) noexcept {
    static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<std::uintptr_t>(v.data()) & ~(page - 1);
    const auto last = reinterpret_cast<std::uintptr_t>(v.data()) + std::min(v.size(), bytes_max);
    begin = reinterpret_cast<void*>(first);
    bytes = last - first;
    pages = (bytes + page - 1) / page;
  }
  void* begin;
  std::size_t bytes;
  std::size_t pages;
};

copied copy_from_map(byte_view v, std::uint8_t* to, bool may_wait) noexcept {
  if (!may_wait && !resident(v))
    return copied::not_in_memory;
  if (may_wait && !load(v))
    return copied::unreadable;
  std::memcpy(to, v.data(), v.size());
  return copied::yes;
}

/// The part of a line of /proc/self/maps before the next blank.
std::string_view next_field(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto field = line.substr(0, line.find(' '));
  line.remove_prefix(field.size());
  return field;
}

bool from_hex(std::string_view text, std::uintptr_t& out) noexcept {
  const auto r = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return r.ec == std::errc{} && r.ptr == text.data() + text.size();
}

} // namespace

bool resident(byte_view v) noexcept {
  if (v.empty())
    return true;
  std::array<unsigned char, residency_bytes_max / 4'096 + 2> pages; // one byte a page
  const page_span at{v, residency_bytes_max};
  if (::mincore(at.begin, at.bytes, pages.data()) != 0)
    return false; // unknown: treat it as slow
  return std::all_of(pages.begin(), pages.begin() + static_cast<std::ptrdiff_t>(at.pages),
                     [](unsigned char p) { return (p & 1) != 0; });
}

bool load(byte_view v) noexcept {
  if (v.empty())
    return true;
  const page_span at{v, v.size()};
  return ::madvise(at.begin, at.bytes, MADV_POPULATE_READ) == 0
         || (errno != EFAULT && errno != EHWPOISON); // a kernel before 5.14 does not know it
}

// -- mapped_file ------------------------------------------------------------------------------

mapped_file mapped_file::of(int fd) {
  mapped_file out;
  std::array<char, PATH_MAX> path;
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(),
                            path.size());
  if (n <= 0)
    return out;
  const std::string_view wanted{path.data(), static_cast<std::size_t>(n)};
  std::ifstream maps{"/proc/self/maps"};
  for (std::string text; std::getline(maps, text);) {
    std::string_view line{text};
    const auto range = next_field(line);
    next_field(line); // permissions
    const auto offset = next_field(line);
    next_field(line); // device
    next_field(line); // inode
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto dash = range.find('-');
    std::uintptr_t first = 0;
    std::uintptr_t last = 0;
    std::uintptr_t place = 0;
    if (line != wanted || dash == range.npos || !from_hex(range.substr(0, dash), first)
        || !from_hex(range.substr(dash + 1), last) || !from_hex(offset, place) || place != 0)
      continue;
    out.fd_ = fd;
    out.begin_ = reinterpret_cast<const std::uint8_t*>(first);
    out.length_ = last - first;
    break;
  }
  return out;
}

bool mapped_file::holds(byte_view v) const noexcept {
  const std::less_equal<const std::uint8_t*> in_order;
  return begin_ != nullptr && in_order(begin_, v.data())
         && in_order(v.data() + v.size(), begin_ + length_);
}

void mapped_file::read_ahead(byte_view v) const noexcept {
  if (!v.empty() && holds(v))
    ::posix_fadvise(fd_, v.data() - begin_, static_cast<off_t>(v.size()), POSIX_FADV_WILLNEED);
}

void mapped_file::read_nothing_else() const noexcept {
  if (begin_ == nullptr)
    return;
  ::madvise(const_cast<std::uint8_t*>(begin_), length_, MADV_RANDOM);
  ::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
}

copied mapped_file::copy(byte_view v, std::span<std::uint8_t> to, bool may_wait) const noexcept {
  if (v.empty())
    return copied::yes;
  if (!holds(v))
    return copy_from_map(v, to.data(), may_wait);
  for (std::size_t done = 0; done < v.size();) {
    iovec part{to.data() + done, v.size() - done};
    const auto n = ::preadv2(fd_, &part, 1, v.data() - begin_ + static_cast<off_t>(done),
                             may_wait ? 0 : RWF_NOWAIT);
    if (n > 0)
      done += static_cast<std::size_t>(n);
    else if (n < 0 && errno == EINTR)
      continue;
    else if (n < 0 && errno == EOPNOTSUPP) // a file system that cannot say
      return copy_from_map(v, to.data(), may_wait);
    else
      return may_wait ? copied::unreadable : copied::not_in_memory;
  }
  return copied::yes;
}

} // namespace ron::core::store
