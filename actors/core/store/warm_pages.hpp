#pragma once

#include "core/store/lookup_path.hpp"
#include "core/store/residency.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ron::core::store {

/// The pages of a mapped file that are in memory. A page that was found there is taken to be there
/// for about a second without asking again: it was used, so the kernel has others to take away
/// first, and asking costs as much as a lookup. Any thread.
class warm_pages final : public page_source {
public:
  /// Pages that are remembered; others are asked for each time.
  static constexpr std::size_t remembered_max = 4'096;

  /// Of another file from now on; none is remembered. Not while others use it.
  void set(const mapped_file& file, std::size_t page_bytes) noexcept;

  const std::uint8_t* at(std::uint64_t page) noexcept override;
  std::size_t page_bytes() const noexcept override { return page_bytes_; }

private:
  byte_view map_;
  std::size_t page_bytes_ = 0;
  std::array<std::atomic<std::uint64_t>, remembered_max> seen_{}; ///< page + 1 and when; 0 = free
};

} // namespace ron::core::store
