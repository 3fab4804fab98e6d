#pragma once

#include "storage/peer.hpp"
#include "storage/replication_work.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace ron::storage {

/// A peer as people see it.
struct peer_stats {
  std::string address;
  bool up = false;              ///< answered the last time, and took our capability
  std::string complaint;        ///< of the last transfer; empty: none
  transfer_failure failure = transfer_failure::none;
  std::uint64_t failures = 0;   ///< since start
  std::uint64_t unproven = 0;   ///< copies that it said it keeps and could not show, since start
  std::chrono::milliseconds rest{}; ///< until it is tried again; 0 = at any time
  std::string store;            ///< the id of its store; empty: it has not answered yet
};

/// What a replicator has done since start, and has to do.
struct replication_stats {
  std::uint32_t copies = 1;
  std::uint64_t pending = 0;   ///< objects on the work list: to be copied or repaired
  std::uint64_t releases = 0;  ///< deleted objects that a peer has not heard of
  std::uint64_t releases_lost = 0; ///< that no peer will hear of: the list was full
  std::uint64_t objects = 0;
  std::uint64_t unknown = 0;   ///< that the first walk has not come to
  std::uint64_t sent = 0;      ///< copies that a peer has stored
  std::uint64_t repaired = 0;  ///< objects whose damaged bytes were replaced
  std::uint64_t released = 0;  ///< deletions that a peer was told
  std::uint64_t bytes = 0;     ///< moved either way
  std::uint64_t proofs = 0;    ///< copies that peers said they keep and were asked to show
  std::uint64_t unproven = 0;  ///< those that they could not
  std::uint64_t rate = 0;      ///< bytes/s; 0 = no bound
  std::array<std::uint64_t, transfer_failures + 1> failed{}; ///< transfers, by failure
  walk_state walk;
  std::string store;           ///< the id of this node's store
  std::vector<peer_stats> peers;

  std::uint64_t peers_up() const noexcept {
    std::uint64_t n = 0;
    for (const auto& p : peers)
      n += p.up ? 1 : 0;
    return n;
  }
  /// Copies per object as the work list has it, mean: no more than there are. An object on the
  /// list, or not looked at yet, counts as having none elsewhere.
  double observed() const noexcept {
    if (objects == 0 || copies <= 1)
      return copies;
    const auto lacking = static_cast<double>(pending + unknown) / static_cast<double>(objects);
    return copies - (copies - 1) * (lacking < 1 ? lacking : 1);
  }
};

} // namespace ron::storage
