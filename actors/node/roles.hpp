#pragma once

#include "core/actor/downstream.hpp"
#include "core/actor/helper_pool.hpp"
#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/metrics.hpp"
#include "core/store/metrics.hpp"
#include "index/cache.hpp"
#include "index/messages.hpp"
#include "index/metrics.hpp"
#include "index/operations.hpp"
#include "index/store.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox/metrics.hpp"
#include "mailbox/operations.hpp"
#include "node/memory_watch.hpp"
#include "node/readiness.hpp"
#include "node/start_failure.hpp"
#include "storage/backend.hpp"
#include "storage/messages.hpp"
#include "storage/metrics.hpp"
#include "storage/operations.hpp"
#include "storage/storage.hpp"
#include "transport/operation.hpp"

#include <caf/fwd.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace ron::node {

/// A role that runs in this process, and the semaphore in front of it.
template <class Handle>
struct guarded_role {
  core::role<Handle> role;
  core::semaphore permits;

  core::downstream<Handle> to() const { return {role.ref, permits}; }
};

/// The roles of one process: their stores, their replicas on every shard, the semaphores before
/// them. A role that is not configured is absent and its downstream answers `degraded`.
class roles {
public:
  /// Called when a role died too often; any shard.
  using give_up = std::function<void(const std::string&, const caf::error&)>;

  /// Opens the stores and starts what `config` asks for. `peer_token` makes a capability for the
  /// peers of the storage role, on any thread. Failures name the store or the key.
  static started<std::unique_ptr<roles>> start(caf::actor_system& system,
                                               core::node_config_ptr config,
                                               const core::clock& clock,
                                               const std::function<std::string()>& peer_token,
                                               give_up failed);

  /// What the configured roles serve on either wire.
  std::vector<transport::operation> operations() const;
  /// What they add to the admin listener.
  std::vector<transport::operation> admin_operations() const;
  /// A hard readiness key for every configured role and every downstream omnigate needs, and a
  /// soft one for every store.
  std::vector<readiness_key> keys() const;
  /// True if the role of this name runs in this process.
  bool runs(std::string_view name) const;
  /// The fullest semaphore, 0..1.
  double pressure() const;

  /// Looks after the stores; every second, on any thread, one at a time.
  void maintain();

  /// Takes over the keys of `config` that the roles take over while they run. The main thread.
  void reload(const core::node_config& config);

  /// What holds much memory; always the same parts. Any thread.
  std::vector<memory_part> memory() const;
  /// Caches get along with a quarter, or no longer. The monitor's shard.
  void shrink_caches(bool is);

  /// Adds what the stores count to a registry, which outlives `close`.
  void show(core::metrics::registry& r);

  /// Ends semaphores and replicas; `stopped` turns true when the last actor is gone.
  void stop(caf::actor_system& system);
  bool stopped() const;
  /// After the actors: flushes and closes the stores.
  void close();

  const std::shared_ptr<index::name_cache>& name_cache() const noexcept { return cache_; }
  const std::shared_ptr<storage::backend>& objects() const noexcept { return objects_; }

private:
  roles(core::node_config_ptr config, const core::clock& clock);
  started<void> open_stores(std::size_t shards);
  /// Sets up copies on other nodes, if there are to be any.
  void find_peers(const std::function<std::string()>& token);
  void spawn(caf::actor_system& system, const give_up& failed);
  /// How storage learns that a name points at an object; empty without an index in this process.
  storage::name_check named() const;

  void set_storage_limits();

  core::node_config_ptr config_;
  std::mutex limits_mutex_; ///< of the next three
  std::uint64_t quota_ = 0;
  std::uint64_t verified_cache_ = 0;
  bool caches_shrink_ = false;
  index::cache_limits cached_names_;         ///< the main thread
  storage::storage_limits storage_limits_;   ///< its knobs are shared with the role
  index::operation_limits index_times_;      ///< likewise, like the next
  mailbox::operation_limits mail_times_;
  const core::clock& clock_;
  std::shared_ptr<index::store> names_;
  std::shared_ptr<index::name_cache> cache_;
  std::shared_ptr<storage::backend> objects_;
  std::optional<index::index_metrics> index_metrics_;
  std::optional<storage::storage_metrics> storage_metrics_;
  std::optional<mailbox::mailbox_metrics> mail_metrics_;
  std::optional<core::store::store_metrics> lmdb_metrics_;
  std::optional<storage::replication_metrics> replication_metrics_;
  std::shared_ptr<core::helper_pool> readers_;
  std::shared_ptr<core::helper_pool> lookups_; ///< for names
  std::shared_ptr<storage::replicator> copies_;
  std::shared_ptr<core::helper_pool> movers_; ///< one thread per peer
  std::shared_ptr<mailbox::mailbox_parts> mail_;
  std::optional<guarded_role<index::index_actor>> index_;
  std::optional<guarded_role<storage::storage_actor>> storage_;
  std::optional<guarded_role<mailbox::mailbox_actor>> mailbox_;
};

} // namespace ron::node
