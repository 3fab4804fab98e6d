#include "core/store/warm_pages.hpp"

#include <ctime>

namespace ron::core::store {

namespace {

/// A page is believed to be in memory for the rest of a step and three more, of 256 ms each.
constexpr int step_bits = 8;
constexpr std::uint64_t believed_steps = 3;
/// Of the time that is kept with a page: it comes around every three days, and then a page that
/// nobody has asked for meanwhile may be taken for a fresh one.
constexpr int time_bits = 20;
constexpr std::uint64_t time_mask = (std::uint64_t{1} << time_bits) - 1;

std::uint64_t time_now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const auto ms = static_cast<std::uint64_t>(now.tv_sec) * 1'000
                  + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
  return (ms >> step_bits) & time_mask;
}

} // namespace

void warm_pages::set(const mapped_file& file, std::size_t page_bytes) noexcept {
  map_ = file.map();
  page_bytes_ = page_bytes;
  for (auto& s : seen_)
    s.store(0, std::memory_order_relaxed);
}

const std::uint8_t* warm_pages::at(std::uint64_t page) noexcept {
  if (page_bytes_ == 0 || page >= map_.size() / page_bytes_)
    return nullptr;
  const auto bytes = map_.subspan(page * page_bytes_, page_bytes_);
  auto& seen = seen_[page % remembered_max];
  const auto now = time_now();
  const auto last = seen.load(std::memory_order_relaxed);
  if (last >> time_bits == page + 1 && ((now - last) & time_mask) <= believed_steps)
    return bytes.data();
  if (!resident(bytes))
    return nullptr;
  seen.store((page + 1) << time_bits | now, std::memory_order_relaxed);
  return bytes.data();
}

} // namespace ron::core::store
