#pragma once

#include "core/clock.hpp"
#include "core/log_components.hpp"
#include "core/store/logged_store.hpp"
#include "core/store/writer.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace ron::core::store {

/// How far a thread that writes has come.
struct write_progress {
  std::uint64_t open = 0; ///< jobs that wait or are under way
  std::uint64_t done = 0; ///< jobs that succeeded or failed, since start
};
write_progress progress_of(const writer_stats& s) noexcept;
write_progress progress_of(const log_stats& s) noexcept;

/// Notices that a store does not go on: a call into it that does not come back, or a thread that
/// writes and finishes nothing though it has jobs. Either the disk does not answer, or the file is
/// damaged and LMDB goes round in it. No locks; any thread, `look` one at a time.
class store_watch {
public:
  /// A call or a wait that lasts longer is a stall.
  static constexpr std::chrono::seconds patience{30};
  /// Calls at once that are watched; more are not.
  static constexpr std::size_t calls_max = 64;
  /// Threads of a store that write: LMDB's writer, and the log's in front of it.
  static constexpr std::size_t writers_max = 2;

  /// `component`: of the log, and the role whose store it is.
  explicit store_watch(log::component component) noexcept : component_(component) {}

  struct leave {
    void operator()(std::atomic<std::int64_t>* since) const noexcept {
      since->store(0, std::memory_order_release);
    }
  };
  /// Under way as long as it lives; null if it is not watched.
  using call = std::unique_ptr<std::atomic<std::int64_t>, leave>;

  call enter(instant now) noexcept {
    const auto at = now.time_since_epoch().count();
    for (auto& c : calls_)
      if (std::int64_t none = 0; c.compare_exchange_strong(none, at, std::memory_order_acq_rel))
        return call{&c};
    return call{nullptr};
  }

  /// Judges the state now, of the store in the folder `path`, and says once in the log when it does
  /// not go on, and when it does again. `writers`: always the same ones, at most `writers_max`.
  /// Returns how long the longest call, or the writer with open jobs, has been at it.
  std::chrono::nanoseconds look(instant now, std::span<const write_progress> writers,
                                const std::string& path);

  /// What `look` found last.
  bool stalled() const noexcept { return stalled_.load(std::memory_order_relaxed); }

private:
  struct seen {
    std::optional<instant> since; ///< nothing was finished though there are jobs
    std::uint64_t done = 0;
  };

  const log::component component_;
  std::array<std::atomic<std::int64_t>, calls_max> calls_{}; ///< since when, 0 = free
  std::array<seen, writers_max> writers_{};
  std::atomic<bool> stalled_{false};
};

} // namespace ron::core::store
