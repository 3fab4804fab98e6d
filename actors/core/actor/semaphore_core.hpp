#pragma once

#include "core/actor/semaphore.hpp"

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace ron::core {

/// What the semaphore actors of all shards share. The order of the steps below keeps two promises:
///
/// - a waiter that `permit_pool` counts has a published front in some line, because a line is
///   published before its first waiter is counted and withdrawn after its last one has left;
/// - while a permit is free and somebody waits, a `wake` is under way or a line is being served:
///   whoever frees a permit sends one, and whoever receives one serves its line and, when a permit
///   is still left and waiters are too, passes it on.
struct semaphore::core : std::enable_shared_from_this<semaphore::core> {
  static constexpr std::uint64_t nobody = std::numeric_limits<std::uint64_t>::max();

  /// One line as the others see it.
  struct alignas(64) front {
    std::atomic<std::uint64_t> ticket{nobody}; ///< of its first waiter
    std::atomic<bool> woken{false};            ///< a wake is under way
  };

  core(std::shared_ptr<role_table> table, std::uint32_t permits, std::uint32_t waiters_max)
    : pool(permit_pool::make(permits, waiters_max)),
      lines(std::move(table)),
      fronts(lines->size()) {
    // nop
  }

  /// Makes a release of a permit wake those who wait. Once, before first use.
  void listen() {
    pool->on_free([weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->wake_oldest();
    });
  }

  /// Wakes the line whose first waiter is the oldest, if a permit is free. Any thread.
  void wake_oldest();

  std::shared_ptr<permit_pool> pool;
  std::shared_ptr<role_table> lines;
  std::vector<front> fronts;          ///< by slot
  supervisor_actor supervisor;
  std::atomic<std::uint64_t> next_ticket{0};
  std::atomic<std::uint64_t> waited{0};
  std::atomic<std::uint64_t> shed{0};
  std::atomic<std::uint64_t> timed_out{0};

private:
  std::optional<std::size_t> oldest() const noexcept;
};

} // namespace ron::core
