#pragma once

#include "core/store/writer.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_set>

namespace ron::storage {

/// Gives out object numbers and removes the chunks of numbers that no record names and no upload
/// owns, a few at a time, so that other writes have their turn. Any thread.
class collector {
public:
  /// Chunks and outboard pages removed by one write job.
  static constexpr std::size_t step = 64;

  /// `first`: a number that was never used. `log` outlives the collector's last call.
  collector(core::store::writer& log, std::uint64_t first) noexcept : log_(log), next_(first) {}

  /// A fresh number, owned by an upload until `close`.
  std::uint64_t open();
  /// The upload has gone. `loose`: it left chunks that no record names.
  void close(std::uint64_t number, bool loose);
  /// Looks for loose chunks, unless it is doing so already.
  void kick();
  /// Steps that failed; what they would have removed waits for the next `kick`.
  std::uint64_t failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

private:
  void submit();
  void stepped(bool more);
  core::result<bool> remove_step(core::store::transaction& t);
  bool owned(std::uint64_t number);

  core::store::writer& log_;
  std::mutex mutex_;
  std::uint64_t next_;
  std::unordered_set<std::uint64_t> owned_; ///< one per open upload
  bool running_ = false;
  bool again_ = false; ///< kicked while running
  std::atomic<std::uint64_t> failed_{0};
};

} // namespace ron::storage
