#pragma once

#include "core/clock.hpp"
#include "core/live.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ron::mailbox {

/// What became of a caller that was offered a turn: it is out, it keeps its place, or it keeps its
/// place and nobody behind it is asked.
enum class turn : std::uint8_t { served, passed, stop };

/// Callers that wait for a message, first come first served within a topic, each with an end to
/// its patience. `T` is what is kept for the caller. Bounded; one owner; no clock of its own.
template <class T>
class waiter_list {
public:
  explicit waiter_list(core::knob<std::size_t> max) : max_(std::move(max)) {}

  bool full() const noexcept { return by_end_.size() >= max_; }
  /// False, and nothing is kept, when `max` callers wait already.
  bool add(const std::string& topic, core::instant until, T what) {
    if (full())
      return false;
    auto& line = by_topic_[topic];
    line.push_back({until, ++last_id_, std::move(what)});
    by_end_.emplace(std::pair{until, last_id_}, topic);
    return true;
  }

  /// Offers a turn to the callers of `topic`, in their order: `serve(what)` says what became of it.
  /// Nothing may be added meanwhile.
  template <class F>
  void serve(const std::string& topic, F serve) {
    auto line = by_topic_.find(topic);
    if (line == by_topic_.end())
      return;
    for (auto i = line->second.begin(); i != line->second.end();) {
      const auto how = serve(i->what);
      if (how == turn::stop)
        break;
      if (how == turn::served) {
        by_end_.erase({i->until, i->id});
        i = line->second.erase(i);
      } else {
        ++i;
      }
    }
    if (line->second.empty())
      by_topic_.erase(line);
  }

  /// Takes out one caller whose patience has ended by `now`; nothing if there is none.
  std::optional<T> take_expired(core::instant now) {
    if (by_end_.empty() || by_end_.begin()->first.first > now)
      return std::nullopt;
    const auto id = by_end_.begin()->first.second;
    auto line = by_topic_.find(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
    auto i = line->second.begin();
    while (i->id != id)
      ++i;
    std::optional<T> out{std::move(i->what)};
    line->second.erase(i);
    if (line->second.empty())
      by_topic_.erase(line);
    return out;
  }

  /// When the next caller's patience ends.
  std::optional<core::instant> next_end() const {
    if (by_end_.empty())
      return std::nullopt;
    return by_end_.begin()->first.first;
  }

  /// Topics that somebody waits for.
  std::vector<std::string> topics() const {
    std::vector<std::string> out;
    out.reserve(by_topic_.size());
    for (const auto& [topic, line] : by_topic_)
      out.push_back(topic);
    return out;
  }

  std::size_t size() const noexcept { return by_end_.size(); }

private:
  struct entry {
    core::instant until;
    std::uint64_t id;
    T what;
  };
  core::knob<std::size_t> max_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::string, std::list<entry>> by_topic_;
  std::map<std::pair<core::instant, std::uint64_t>, std::string> by_end_;
};

} // namespace ron::mailbox
