#include "core/store/residency.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include <sys/mman.h>
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

} // namespace ron::core::store
