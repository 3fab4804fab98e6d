#pragma once

#include "core/clock.hpp"
#include "core/store/writer.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace ron::storage {

/// Notices that a store does not go on: a call into it that does not come back, or a writer that
/// commits nothing though jobs wait. Either the disk does not answer, or the file is damaged and
/// LMDB goes round in it. No locks; any thread, `look` one at a time.
class store_watch {
public:
  /// A call or a wait that lasts longer is a stall.
  static constexpr std::chrono::seconds patience{30};
  /// Calls at once that are watched; more are not.
  static constexpr std::size_t calls_max = 64;

  /// Under way as long as it lives.
  class call {
  public:
    call(call&& o) noexcept : since_(o.since_) { o.since_ = nullptr; }
    call& operator=(call&&) = delete;
    ~call() {
      if (since_ != nullptr)
        since_->store(0, std::memory_order_release);
    }

  private:
    friend class store_watch;
    explicit call(std::atomic<std::int64_t>* since) noexcept : since_(since) {}
    std::atomic<std::int64_t>* since_;
  };

  call enter(core::instant now) noexcept {
    const auto at = now.time_since_epoch().count();
    for (auto& c : calls_)
      if (std::int64_t none = 0; c.compare_exchange_strong(none, at, std::memory_order_acq_rel))
        return call{&c};
    return call{nullptr};
  }

  /// Judges the state now, of the store in the folder `path`, and says once in the log when it does
  /// not go on, and when it does again. Returns how long the longest call, or the writer with jobs
  /// waiting, has been at it.
  std::chrono::nanoseconds look(core::instant now, const core::store::writer_stats& writer,
                                const std::string& path);

  /// What `look` found last.
  bool stalled() const noexcept { return stalled_.load(std::memory_order_relaxed); }

private:
  std::array<std::atomic<std::int64_t>, calls_max> calls_{}; ///< since when, 0 = free
  std::optional<core::instant> writing_since_; ///< without a batch though jobs wait
  std::uint64_t writes_done_ = 0;
  std::atomic<bool> stalled_{false};
};

} // namespace ron::storage
