#pragma once

#include "storage/replication_work.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace ron::storage {

/// The work list of a store in RAM: at most an entry per object for copies, and a bounded number
/// of releases. Nothing is ever damaged there, so there are no repairs. Any thread.
class ram_work {
public:
  void note_copy(const core::cid& c) {
    std::lock_guard guard{mutex_};
    releases_.erase(c);
    copies_[c].clear();
  }
  /// False: not noted, there are `max`.
  bool note_release(const core::cid& c, std::uint64_t max) {
    std::lock_guard guard{mutex_};
    copies_.erase(c);
    if (releases_.size() >= max && !releases_.contains(c))
      return false;
    releases_[c].clear();
    return true;
  }
  void forget_copy(const core::cid& c) {
    std::lock_guard guard{mutex_};
    copies_.erase(c);
  }
  bool has_copy(const core::cid& c) const {
    std::lock_guard guard{mutex_};
    return copies_.contains(c);
  }

  std::vector<work_item> page(duty what, const std::optional<core::cid>& after,
                              std::size_t limit) const {
    std::lock_guard guard{mutex_};
    const auto& from = what == duty::release ? releases_ : copies_;
    std::vector<work_item> out;
    for (auto i = after ? from.upper_bound(*after) : from.begin();
         i != from.end() && out.size() < limit; ++i)
      out.push_back({i->first, what, i->second});
    return out;
  }
  void settle(const settlement& s) {
    if (s.what == duty::repair)
      return;
    std::lock_guard guard{mutex_};
    auto& in = s.what == duty::release ? releases_ : copies_;
    auto i = in.find(s.cid);
    if (i == in.end())
      return;
    if (!s.peer)
      in.erase(i);
    else if (i->second.size() < served_max && !std::ranges::contains(i->second, *s.peer))
      i->second.push_back(*s.peer);
  }

  std::uint64_t copies() const {
    std::lock_guard guard{mutex_};
    return copies_.size();
  }
  std::uint64_t releases() const {
    std::lock_guard guard{mutex_};
    return releases_.size();
  }

private:
  using rows = std::map<core::cid, std::vector<peer_key>>;

  mutable std::mutex mutex_;
  rows copies_;
  rows releases_;
};

} // namespace ron::storage
