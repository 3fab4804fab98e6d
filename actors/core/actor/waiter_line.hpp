#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace ron::core {

/// Those who wait for a permit on one shard: first in, first out, each with a deadline. Bounded
/// by `waiters_max`; whoever owns it checks `full` first. Pure; one thread.
template <class Waiter>
class waiter_line {
public:
  explicit waiter_line(std::size_t waiters_max) noexcept : waiters_max_(waiters_max) {}

  bool empty() const noexcept { return line_.empty(); }
  bool full() const noexcept { return line_.size() >= waiters_max_; }
  std::size_t size() const noexcept { return line_.size(); }

  /// Adds a waiter at the end; false, and `who` is untouched, when full. `ticket` grows with time
  /// over all lines, so that the oldest waiter of several lines can be told.
  bool push(std::uint64_t ticket, instant deadline, Waiter&& who) {
    if (full())
      return false;
    line_.push_back(entry{ticket, deadline, std::move(who)});
    return true;
  }

  /// Ticket of the first in line; none when empty.
  std::optional<std::uint64_t> front_ticket() const noexcept {
    return line_.empty() ? std::nullopt : std::optional{line_.front().ticket};
  }

  /// Removes the first in line. Only while not `empty()`.
  Waiter pop() {
    auto who = std::move(line_.front().who);
    line_.pop_front();
    return who;
  }

  /// Removes all whose deadline is at or before `now`, oldest first.
  std::vector<Waiter> take_expired(instant now) {
    std::vector<Waiter> out;
    std::erase_if(line_, [&](entry& e) {
      if (e.deadline > now)
        return false;
      out.push_back(std::move(e.who));
      return true;
    });
    return out;
  }

  /// The earliest deadline in the line; none when empty.
  std::optional<instant> next_deadline() const noexcept {
    if (line_.empty())
      return std::nullopt;
    return std::ranges::min(line_, {}, &entry::deadline).deadline;
  }

private:
  struct entry {
    std::uint64_t ticket;
    instant deadline;
    Waiter who;
  };
  std::size_t waiters_max_;
  std::deque<entry> line_;
};

} // namespace ron::core
