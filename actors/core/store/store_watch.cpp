#include "core/store/store_watch.hpp"

#include "core/log.hpp"

#include <algorithm>
#include <filesystem>

namespace ron::core::store {

write_progress progress_of(const writer_stats& s) noexcept {
  return {s.queued_jobs + s.working_jobs, s.jobs + s.failed_jobs};
}

write_progress progress_of(const log_stats& s) noexcept {
  return {s.queued_jobs + s.working_jobs, s.jobs + s.failed_jobs};
}

std::chrono::nanoseconds store_watch::look(instant now, std::span<const write_progress> writers,
                                           const std::string& path) {
  std::chrono::nanoseconds longest{};
  for (const auto& c : calls_)
    if (const auto since = c.load(std::memory_order_acquire); since != 0)
      longest = std::max(longest, now - instant{instant::duration{since}});
  for (std::size_t i = 0; i < std::min(writers.size(), writers_max); ++i) {
    auto& last = writers_[i];
    const auto& is = writers[i];
    if (is.open == 0 || is.done != last.done || !last.since)
      last = {now, is.done};
    longest = std::max<std::chrono::nanoseconds>(longest, now - *last.since);
  }
  const bool stalled = longest > patience;
  if (stalled_.exchange(stalled, std::memory_order_relaxed) == stalled)
    return longest;
  const auto data = std::filesystem::path{path}.parent_path().string();
  const std::string words = "a call into the store does not come back: the disk does not answer, "
                            "or the file is damaged; stop the node and run: ronctl store verify ";
  if (stalled)
    log::error(component_, words + data,
               {{"store", path}, {"for", std::chrono::floor<std::chrono::milliseconds>(longest)}});
  else
    log::info(component_, "the store goes on", {{"store", path}});
  return longest;
}

} // namespace ron::core::store
