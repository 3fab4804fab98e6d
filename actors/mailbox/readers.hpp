#pragma once

#include "core/clock.hpp"
#include "core/live.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace ron::mailbox {

/// A subscription or event stream, by a number that nobody else has; 0 is none.
using reader_id = std::uint64_t;

/// What each reader was given and has not settled. It gets no more than it may hold, and all of it
/// is given back when it leaves. One owner; no clock of its own.
///
/// Bounded: at most `readers_max` readers, each with at most what it may hold; `left_max` of those
/// that left are remembered, because an ask of theirs may still be on its way.
class reader_book {
public:
  static constexpr std::size_t left_max = 1'024;

  explicit reader_book(core::knob<std::size_t> readers_max) : readers_max_(std::move(readers_max)) {
    // nop
  }

  /// Enters a reader that may hold `held_max` deliveries at a time, if it is not there. False if
  /// there are too many.
  bool enter(reader_id r, std::size_t held_max);
  /// True for one that left before.
  bool has_left(reader_id r) const noexcept { return left_.contains(r); }

  /// How many deliveries more it may get.
  std::size_t room(reader_id r, core::instant now);
  /// When it may get more although it settles nothing; none = never.
  std::optional<core::instant> room_at(reader_id r) const;
  /// It was given a delivery that ends at `until`; ends do not go back. Within its room.
  void took(reader_id r, const std::string& receipt, core::instant until);
  /// A receipt is used up, whosever it is.
  void settled(const std::string& receipt);

  /// Forgets the reader; the receipts it has not settled, oldest first.
  std::vector<std::string> leave(reader_id r);

  std::size_t size() const noexcept { return readers_.size(); }
  /// Deliveries that readers hold.
  std::size_t held() const noexcept { return holders_.size(); }

private:
  struct delivery_held {
    core::instant until;
    std::string receipt;
  };
  struct reader {
    std::size_t held_max = 0;
    std::list<delivery_held> line; ///< oldest first
  };
  struct place_held {
    reader_id by = 0;
    std::list<delivery_held>::iterator at;
  };

  core::knob<std::size_t> readers_max_;
  std::unordered_map<reader_id, reader> readers_;
  std::unordered_map<std::string, place_held> holders_; ///< by receipt
  std::unordered_set<reader_id> left_;
  std::deque<reader_id> left_line_;
};

} // namespace ron::mailbox
