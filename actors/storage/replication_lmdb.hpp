#pragma once

#include "core/store/environment.hpp"
#include "storage/backend.hpp"
#include "storage/lmdb_upload.hpp"

#include <mutex>
#include <optional>
#include <vector>

namespace ron::storage {

/// The part of an LMDB back end that copies are about: its work list, what it keeps for other
/// nodes. See `backend`. Any thread; `end_hold` on the writer's.
class lmdb_copies {
public:
  /// Both outlive it. `parts` need not be complete yet.
  lmdb_copies(core::store::environment& env, const lmdb_parts& parts) : env_(env), parts_(parts) {
    // nop
  }

  core::result<std::vector<work_item>> work(const std::optional<core::cid>& after,
                                            std::size_t limit);
  core::result<std::vector<work_item>> releases(const std::optional<core::cid>& after,
                                                std::size_t limit);
  void settle(const settlement& s, outcome<void> then);
  void walk(const walk_order& order, outcome<walk_state> then);
  void identify(outcome<store_id> then);
  void keep(const core::cid& c, const store_id& node, outcome<bool> then);
  void release(const core::cid& c, const store_id& node, bool needed, outcome<void> then);

  /// From now on puts are not noted: the next time that they are, a walk has to find them.
  void forget_walk();
  /// Notes that another node has to give what is damaged here. The next scrub tries again if that
  /// is not stored.
  void want_repair(const core::cid& c);
  /// Ends a tenant's hold, see `layout::remove_hold`, and notes that peers need not keep what is
  /// not this node's own any more.
  core::result<void> end_hold(core::store::transaction& t, const core::cid& c,
                              const core::tenant& holder, hold_end& end);

private:
  core::store::environment& env_;
  const lmdb_parts& parts_;
  std::mutex mutex_;
  std::optional<store_id> identity_; ///< once it is on disk
};

} // namespace ron::storage
