#include "storage/store_watch.hpp"

#include "core/log.hpp"

#include <algorithm>
#include <filesystem>

namespace ron::storage {

std::chrono::nanoseconds store_watch::look(core::instant now,
                                           const core::store::writer_stats& writer,
                                           const std::string& path) {
  std::chrono::nanoseconds longest{};
  for (const auto& c : calls_)
    if (const auto since = c.load(std::memory_order_acquire); since != 0)
      longest = std::max(longest, now - core::instant{core::instant::duration{since}});
  const auto done = writer.commits + writer.failed_commits;
  if (writer.queued_jobs == 0 || done != writes_done_ || !writing_since_)
    writing_since_ = now;
  writes_done_ = done;
  longest = std::max<std::chrono::nanoseconds>(longest, now - *writing_since_);
  const bool stalled = longest > patience;
  if (stalled_.exchange(stalled, std::memory_order_relaxed) == stalled)
    return longest;
  const auto data = std::filesystem::path{path}.parent_path().string();
  const std::string words = "a call into the store does not come back: the disk does not answer, "
                            "or the file is damaged; stop the node and run: ronctl store verify ";
  if (stalled)
    core::log::error("storage", words + data,
                     {{"store", path},
                      {"for", std::chrono::floor<std::chrono::milliseconds>(longest)}});
  else
    core::log::info("storage", "the store goes on", {{"store", path}});
  return longest;
}

} // namespace ron::storage
