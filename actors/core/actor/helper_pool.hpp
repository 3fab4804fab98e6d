#pragma once

#include "core/actor/shard.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace ron::core {

/// Totals since start, and the state now.
struct helper_pool_stats {
  std::size_t threads = 0;
  std::size_t bound = 0;
  std::size_t waiting = 0;
  std::size_t high_water = 0;
  std::uint64_t done = 0;
  std::uint64_t refused = 0;
};

/// A few named threads for what blocks: commits with fsync, cold pages, name lookups. The queue
/// is bounded; when it is full the caller is told and answers `ec::busy`. One thread = a writer
/// that keeps order. Any thread.
class helper_pool {
public:
  /// `name` shows in the thread list (15 characters). `threads` >= 1, `bound` >= 1 waiting jobs.
  helper_pool(std::string name, std::size_t threads, std::size_t bound);
  /// As `stop`.
  ~helper_pool();
  helper_pool(const helper_pool&) = delete;
  helper_pool& operator=(const helper_pool&) = delete;

  /// Runs `work` on a helper thread. False, and `work` is destroyed, when the queue is full or
  /// the pool has stopped.
  bool submit(job work);

  /// Runs `work()` on a helper thread and `done(result)` on `home`; an actor passes
  /// `self->home()` and `self->bind(...)`. False when the queue is full or the pool has stopped;
  /// neither runs then. When the shard has closed meanwhile, `done` is destroyed unrun.
  template <class Work, class Done>
  bool run(shard& home, Work work, Done done) {
    return submit([&home, work = std::move(work), done = std::move(done)]() mutable {
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        home.submit(std::move(done));
      } else {
        home.submit([done = std::move(done), result = work()]() mutable {
          done(std::move(result));
        });
      }
    });
  }

  /// Takes no more jobs, finishes those that wait, joins the threads. Idempotent; not from a
  /// helper thread.
  void stop();

  helper_pool_stats stats() const;

private:
  void work_loop();

  const std::string name_;
  const std::size_t bound_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<job> queue_;
  bool stopping_ = false;
  std::size_t high_water_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t refused_ = 0;
  std::vector<std::thread> threads_;
};

} // namespace ron::core
