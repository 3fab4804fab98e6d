#pragma once

#include "core/clock.hpp"

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

/// Callers that wait for a message, first come first served within a topic, each with an end to
/// its patience. `T` is what is kept for the caller. Bounded; one owner; no clock of its own.
template <class T>
class waiter_list {
public:
  explicit waiter_list(std::size_t max) : max_(max) {}

  /// False, and nothing is kept, when `max` callers wait already.
  bool add(const std::string& topic, core::instant until, T what) {
    if (by_end_.size() >= max_)
      return false;
    auto& line = by_topic_[topic];
    line.push_back({until, ++last_id_, std::move(what)});
    by_end_.emplace(std::pair{until, last_id_}, topic);
    return true;
  }

  /// The caller whose turn it is in `topic`; null if nobody waits there.
  T* front(const std::string& topic) {
    auto i = by_topic_.find(topic);
    return i == by_topic_.end() ? nullptr : &i->second.front().what;
  }

  /// Removes the caller whose turn it is.
  void pop(const std::string& topic) {
    auto i = by_topic_.find(topic);
    by_end_.erase({i->second.front().until, i->second.front().id});
    i->second.pop_front();
    if (i->second.empty())
      by_topic_.erase(i);
  }

  /// Takes out one caller whose patience has ended by `now`; nothing if there is none.
  std::optional<T> take_expired(core::instant now) {
    if (by_end_.empty() || by_end_.begin()->first.first > now)
      return std::nullopt;
    auto [key, topic] = *by_end_.begin();
    by_end_.erase(by_end_.begin());
    auto line = by_topic_.find(topic);
    for (auto i = line->second.begin();; ++i) {
      if (i->id != key.second)
        continue;
      std::optional<T> out{std::move(i->what)};
      line->second.erase(i);
      if (line->second.empty())
        by_topic_.erase(line);
      return out;
    }
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
  std::size_t max_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::string, std::list<entry>> by_topic_;
  std::map<std::pair<core::instant, std::uint64_t>, std::string> by_end_;
};

} // namespace ron::mailbox
