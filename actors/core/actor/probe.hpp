#pragma once

#include "core/actor/message_tag.hpp"
#include "core/clock.hpp"
#include "core/limits.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <source_location>

namespace caf {
class actor_control_block;
} // namespace caf

namespace ron::core {

/// Index of no shard: the actor runs on another scheduler (tests).
inline constexpr std::uint32_t no_shard = 0xffff'ffff;

/// The part of a live actor that other threads may read: counters and origin. Lives inside the
/// actor; the directory links it while the actor is alive. Relaxed atomics: a reader sees each
/// value whole, but not all of them from the same moment.
struct probe {
  // written by whoever sends
  std::atomic<std::uint32_t> depth{0};      ///< counted messages in the mailbox now
  std::atomic<std::uint32_t> bound{limits::mailbox_bound_default};
  std::atomic<std::uint32_t> high_water{0}; ///< largest depth so far
  std::uint32_t shard = no_shard;
  std::atomic<std::uint64_t> refused{0};    ///< requests answered `busy`, "mailbox_full"
  std::atomic<std::uint64_t> dropped{0};    ///< plain messages thrown away at the bound

  // constant once the actor is launched
  std::uint64_t id = 0;
  std::uint64_t parent = 0;                 ///< id of the actor that spawned it; 0 = none
  const char* type = "";                    ///< State::name, a literal
  std::source_location site{};              ///< where it was spawned
  instant started{};
  caf::actor_control_block* control = nullptr;
  probe* next = nullptr;                    ///< links of the directory, under its lock
  probe* previous = nullptr;

  // written by the actor itself
  std::atomic<std::uint64_t> in{0};         ///< messages handled
  std::atomic<std::uint64_t> out{0};        ///< messages sent to bounded actors
  std::atomic<std::uint64_t> busy_ns{0};    ///< time on the thread, finished turns only
  std::atomic<std::int64_t> running_since{0}; ///< steady ns; 0 = not running now
  static constexpr std::size_t remembered = 8;
  std::array<std::atomic<std::uint64_t>, remembered> last{}; ///< raw tags, slot = in % 8

  /// Adds to a counter that only one thread writes: no locked instruction.
  static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

  /// Remembers a handled message. The actor itself.
  void handled(message_tag tag) noexcept {
    auto n = in.load(std::memory_order_relaxed);
    last[n % remembered].store(tag.raw(), std::memory_order_relaxed);
    in.store(n + 1, std::memory_order_relaxed);
  }

  /// The probe of the actor that runs on this thread now, or null. Lets a receiver's mailbox
  /// count what the sender sends, and a new actor know its parent.
  static probe*& running() noexcept {
    static thread_local probe* current = nullptr;
    return current;
  }
};
static_assert(sizeof(probe) <= 256, "the inspector may cost 256 bytes per actor");

} // namespace ron::core
