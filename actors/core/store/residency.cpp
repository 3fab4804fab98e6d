#include "core/store/residency.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace ron::core::store {

bool resident(byte_view v) noexcept {
  if (v.empty())
    return true;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  std::array<unsigned char, residency_bytes_max / 4'096 + 2> pages; // one byte a page
  auto first = reinterpret_cast<std::uintptr_t>(v.data()) & ~(page - 1);
  auto last = reinterpret_cast<std::uintptr_t>(v.data()) + std::min(v.size(), residency_bytes_max);
  auto n = (last - first + page - 1) / page;
  if (::mincore(reinterpret_cast<void*>(first), last - first, pages.data()) != 0)
    return false; // unknown: treat it as slow
  return std::all_of(pages.begin(), pages.begin() + static_cast<std::ptrdiff_t>(n),
                     [](unsigned char p) { return (p & 1) != 0; });
}

} // namespace ron::core::store
