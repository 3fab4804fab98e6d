#include "node/roles.hpp"

#include "core/actor/directory.hpp"
#include "core/actor/shards.hpp"
#include "core/chunk_pool.hpp"
#include "index/index.hpp"
#include "index/lmdb_store.hpp"
#include "index/operations.hpp"
#include "mailbox/lmdb_journal.hpp"
#include "mailbox/operations.hpp"
#include "omnigate/operations.hpp"
#include "storage/lmdb_backend.hpp"
#include "storage/operations.hpp"
#include "storage/storage.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ron::node {

namespace {

using core::config::role;

/// Threads that wait for cold pages, and how many reads may wait for them.
constexpr std::size_t reader_threads = 4;
constexpr std::size_t reader_bound = 1'024;
/// The same for names: threads of their own, which a disk with objects on it cannot hold.
constexpr std::uint32_t lookup_threads = 2;
constexpr std::size_t lookup_bound = 1'024;
constexpr std::uint32_t lmdb_readers_spare = 16;

int exit_code_of(core::store::open_failure kind) {
  switch (kind) {
  case core::store::open_failure::too_new:
    return exit_configuration;
  case core::store::open_failure::in_use:
    return exit_unavailable;
  case core::store::open_failure::failed:
    break;
  }
  return exit_internal;
}

std::unexpected<start_failure> store_failure(const char* which, const core::store::open_error& e) {
  return cannot_start(exit_code_of(e.kind), std::string{which} + " store: " + e.message);
}

/// Makes the folder that the stores lie in; its own parent must exist.
started<void> make_folder(const std::string& path) {
  if (path.empty() || ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
    return {};
  return cannot_start(exit_unavailable,
                      "node.data-dir: cannot make " + path + ": " + std::strerror(errno));
}

index::cache_limits cache_limits_of(const core::node_config& c) {
  return {c.index.cache_entries, c.index.ttl, c.index.negative_ttl};
}

bool is_running(const std::string& type) {
  const auto& all = core::directory::instance();
  return !all.snapshot([&](const core::actor_record& r) { return type == r.type; }).empty();
}

} // namespace

roles::roles(core::node_config_ptr config, const core::clock& clock)
    : config_(std::move(config)), clock_(clock) {
  // nop
}

started<std::unique_ptr<roles>> roles::start(caf::actor_system& system,
                                             core::node_config_ptr config, const core::clock& clock,
                                             const std::function<std::string()>& peer_token,
                                             give_up failed) {
  std::unique_ptr<roles> r{new roles(std::move(config), clock)};
  if (auto ok = r->open_stores(core::shards::of(system).size()); !ok)
    return std::unexpected{ok.error()};
  r->find_peers(peer_token);
  r->spawn(system, failed);
  return r;
}

started<void> roles::open_stores(std::size_t shards) {
  const auto& c = *config_;
  const auto readers_max = static_cast<std::uint32_t>(shards) + lmdb_readers_spare;
  quota_ = c.storage.quota;
  verified_cache_ = c.storage.verified_cache;
  storage_limits_.object_bytes_max.set(c.storage.object_bytes_max);
  index_times_.resolve_budget.set(c.index.resolve_budget);
  mail_times_.visibility.set(c.mailbox.visibility);
  if (auto ok = make_folder(c.node.data_dir); !ok)
    return ok;
  if (c.node.roles.has(role::index)) {
    cached_names_ = cache_limits_of(c);
    cache_ = std::make_shared<index::name_cache>(cached_names_);
    if (c.index.db.empty()) {
      names_ = index::make_ram_store({}, clock_);
    } else {
      auto db = index::open_lmdb_store(
          {c.index.db, c.lmdb.map_max, readers_max + lookup_threads}, clock_);
      if (!db)
        return store_failure("index", db.error());
      names_ = std::move(*db);
      lookups_ = std::make_shared<core::helper_pool>("ron-names", lookup_threads, lookup_bound);
    }
  }
  if (c.node.roles.has(role::storage)) {
    readers_ = std::make_shared<core::helper_pool>("ron-read", reader_threads, reader_bound);
    if (c.storage.db.empty()) {
      objects_ = storage::make_ram_backend(c.storage.quota, clock_);
    } else {
      storage::lmdb_backend_options o;
      o.path = c.storage.db;
      o.map_bytes = c.lmdb.map_max;
      o.readers_max = readers_max + reader_threads;
      o.quota = c.storage.quota;
      o.verified_cache = c.storage.verified_cache;
      auto db = storage::open_lmdb_backend(o, clock_);
      if (!db)
        return store_failure("storage", db.error());
      objects_ = std::move(*db);
    }
  }
  if (c.node.roles.has(role::mailbox)) {
    mailbox::mailbox_limits m;
    m.partitions = c.mailbox.partitions;
    m.attempts_max = c.mailbox.attempts_max;
    m.dedup_window = c.mailbox.dedup_window;
    m.waiters_max = c.omnigate.waiters_max;
    std::shared_ptr<mailbox::journal> store;
    if (!c.mailbox.db.empty()) {
      mailbox::lmdb_journal_options o;
      o.path = c.mailbox.db;
      o.map_bytes = c.lmdb.map_max;
      o.readers_max = readers_max;
      auto db = mailbox::open_lmdb_journal(o, clock_);
      if (!db)
        return store_failure("mailbox", db.error());
      store = std::move(*db);
    }
    mail_ = std::make_shared<mailbox::mailbox_parts>(m, clock_, std::move(store));
  }
  return {};
}

void roles::find_peers(const std::function<std::string()>& token) {
  const auto& c = config_->storage;
  if (!objects_)
    return;
  if (c.peers.empty())
    return objects_->set_replication({});
  storage::replicator_options o;
  o.copies = c.rf;
  o.rate = c.repair_rate;
  for (std::size_t i = 0; i < c.peers.size(); ++i)
    o.peers.push_back({c.peers[i], c.peer_pins.empty() ? std::string{} : c.peer_pins[i],
                       c.peer_ca, token, storage_limits_.object_bytes_max});
  movers_ = std::make_shared<core::helper_pool>("ron-move", o.peers.size(), o.peers.size());
  copies_ = std::make_shared<storage::replicator>(objects_, std::move(o));
}

void roles::spawn(caf::actor_system& system, const give_up& failed) {
  const auto& permits = config_->omnigate.permits;
  if (names_) {
    const index::index_parts parts{names_, cache_, &clock_, lookups_};
    auto make = [parts](const core::replica_place& at) {
      return core::spawn_at(at, {}, index::make_index, parts);
    };
    index_.emplace(core::supervise<index::index_actor>(system, "index", make, failed),
                   core::semaphore::start(system, "index", permits.index, failed));
  }
  if (objects_) {
    storage::storage_parts parts{objects_, readers_, {}, {}, copies_, movers_};
    parts.scrub = std::make_shared<storage::scrubber>(clock_);
    parts.limits = storage_limits_;
    auto make = [parts](const core::replica_place& at) {
      return core::spawn_at(at, {}, storage::make_storage, parts);
    };
    storage_.emplace(core::supervise<storage::storage_actor>(system, "storage", make, failed),
                     core::semaphore::start(system, "storage", permits.storage, failed));
  }
  if (mail_) {
    // A replica passes on what belongs to another shard, so it knows where the others are.
    core::role_plan plan;
    plan.name = "mailbox";
    plan.table = core::role_table::make(system);
    plan.give_up = failed;
    plan.make = [parts = mail_, table = plan.table](const core::replica_place& at) {
      return caf::actor_cast<caf::strong_actor_ptr>(
          core::spawn_at(at, {}, mailbox::make_mailbox, parts, table));
    };
    core::role<mailbox::mailbox_actor> r;
    r.ref = core::role_ref<mailbox::mailbox_actor>{plan.table};
    r.supervisor = core::spawn_in(system, {}, core::make_supervisor, std::move(plan));
    mailbox_.emplace(std::move(r),
                     core::semaphore::start(system, "mailbox", permits.mailbox, failed));
  }
}

std::vector<transport::operation> roles::operations() const {
  std::vector<transport::operation> rows;
  auto add = [&rows](std::vector<transport::operation> more) {
    std::move(more.begin(), more.end(), std::back_inserter(rows));
  };
  if (index_)
    add(index::operations(index_->to(), index_times_));
  if (storage_)
    add(storage::operations(storage_->to(), named()));
  if (mailbox_)
    add(mailbox::operations(mailbox_->to(), mail_times_));
  if (config_->node.roles.has(role::omnigate)) {
    omnigate::view_parts parts;
    if (index_)
      parts.index = index_->to();
    if (storage_)
      parts.storage = storage_->to();
    if (mailbox_)
      parts.mailbox = mailbox_->to();
    add(omnigate::operations(std::move(parts)));
  }
  return rows;
}

std::vector<transport::operation> roles::admin_operations() const {
  return storage_ ? storage::admin_operations(storage_->to())
                  : std::vector<transport::operation>{};
}

storage::name_check roles::named() const {
  if (!index_)
    return {};
  return [index = index_->to()](const transport::exchange_ptr& x, const core::cid& c,
                                std::function<void(core::result<bool>)> then) {
    index.call(x->self(), x->request().deadline, index::find_named{c})
      .then([then](bool is) { then(is); },
            [then](core::error e) { then(std::unexpected{std::move(e)}); });
  };
}

std::vector<readiness_key> roles::keys() const {
  const bool gate = config_->node.roles.has(role::omnigate);
  std::vector<readiness_key> out;
  if (index_ || gate)
    out.push_back({"index", index_ && index_->role.ref.ready(), true});
  if (names_)
    out.push_back({"index_store", !names_->stalled(), false});
  if (storage_ || gate)
    out.push_back({"storage", storage_ && storage_->role.ref.ready(), true});
  if (objects_)
    out.push_back({"storage_store", !objects_->stalled(), false});
  if (mailbox_ || gate)
    out.push_back(
        {"mailbox", mailbox_ && mailbox_->role.ref.ready() && mail_->loaded(), true});
  if (mail_)
    out.push_back({"mailbox_store", !mail_->stalled(), false});
  return out;
}

bool roles::runs(std::string_view name) const {
  return (name == "index" && index_) || (name == "storage" && storage_)
         || (name == "mailbox" && mailbox_);
}

double roles::pressure() const {
  auto share = [](const auto& role) {
    if (!role)
      return 0.0;
    const auto s = role->permits.stats();
    const double waiting =
        s.waiters_max == 0 ? 0.0 : static_cast<double>(s.waiting) / s.waiters_max;
    return waiting;
  };
  return std::max({share(index_), share(storage_), share(mailbox_)});
}

void roles::maintain() {
  if (names_)
    names_->maintain();
  if (mail_ && mail_->store())
    mail_->store()->maintain();
}

std::vector<memory_part> roles::memory() const {
  std::vector<memory_part> out;
  const auto chunks = core::chunk_pool::stats();
  out.push_back({"chunks", chunks.regions * core::chunk_pool::region_bytes, 0});
  if (objects_) {
    const auto s = objects_->stats();
    if (config_->storage.db.empty()) {
      out.push_back({"storage.objects", s.bytes + s.reserved, s.quota});
    } else {
      out.push_back({"storage.verified-cache", s.cache.bytes, s.cache.bytes_max});
      out.push_back({"storage.tree-cache", s.outboards.bytes, s.outboards.bytes_max});
    }
    out.push_back({"storage.uploads", s.pending_bytes, storage::storage_limits{}.pending_max});
  }
  if (mail_) {
    out.push_back({"mailbox.messages", mail_->stats().bytes, mail_->limits().bytes_max});
    if (mail_->store()) {
      const auto log = mail_->store()->stats().log;
      out.push_back({"mailbox.log", log.pending_bytes, log.bytes_max});
      out.push_back({"mailbox.log-queue", log.queued_bytes, log.queued_bytes_max});
    }
  }
  return out;
}

void roles::shrink_caches(bool is) {
  std::lock_guard guard{limits_mutex_};
  if (std::exchange(caches_shrink_, is) != is)
    set_storage_limits();
}

/// With the lock held.
void roles::set_storage_limits() {
  constexpr std::uint64_t shrunk = 4;
  if (objects_)
    objects_->set_limits(quota_, caches_shrink_ ? verified_cache_ / shrunk : verified_cache_);
}

void roles::reload(const core::node_config& config) {
  {
    std::lock_guard guard{limits_mutex_};
    const auto& s = config.storage;
    const bool other = quota_ != s.quota || verified_cache_ != s.verified_cache;
    quota_ = s.quota;
    verified_cache_ = s.verified_cache;
    if (other) // a cache that is set forgets
      set_storage_limits();
  }
  if (copies_)
    copies_->set(config.storage.rf, config.storage.repair_rate);
  storage_limits_.object_bytes_max.set(config.storage.object_bytes_max);
  if (const auto names = cache_limits_of(config); cache_ && names != cached_names_) {
    cached_names_ = names; // a cache that is set forgets
    cache_->set_limits(names);
  }
  index_times_.resolve_budget.set(config.index.resolve_budget);
  mail_times_.visibility.set(config.mailbox.visibility);
  if (mail_) {
    const auto& l = mail_->limits();
    l.waiters_max.set(config.omnigate.waiters_max);
    l.attempts_max.set(config.mailbox.attempts_max);
    l.dedup_window.set(config.mailbox.dedup_window);
  }
  const auto& permits = config.omnigate.permits;
  if (index_)
    index_->permits.set(permits.index);
  if (storage_)
    storage_->permits.set(permits.storage);
  if (mailbox_)
    mailbox_->permits.set(permits.mailbox);
}

void roles::show(core::metrics::registry& r) {
  std::vector<core::store::store_source> stores;
  if (names_) {
    index_metrics_.emplace(r, names_, cache_, [pool = lookups_] {
      const auto s = pool ? pool->stats() : core::helper_pool_stats{};
      return index::cold_lookups{s.done, s.refused, s.waiting};
    });
    if (names_->stats())
      stores.push_back({"index", [db = names_] {
                          auto s = db->stats().value_or(index::store_stats{});
                          return core::store::store_report{s.map, std::move(s.writer)};
                        }});
  }
  if (objects_) {
    storage_metrics_.emplace(r, objects_);
    replication_metrics_.emplace(r, copies_);
    if (!config_->storage.db.empty())
      stores.push_back({"objects", [db = objects_] {
                          const auto s = db->stats();
                          return core::store::store_report{
                              s.map, s.writer.value_or(core::store::writer_stats{})};
                        }});
  }
  if (mail_) {
    const auto& l = mail_->limits();
    mail_metrics_.emplace(r, [mail = mail_] { return mail->stats(); },
                          mailbox::mail_bounds{l.messages_max, l.bytes_max});
    if (mail_->store())
      stores.push_back({"mailbox", [db = mail_->store()] {
                          auto s = db->stats();
                          return core::store::store_report{s.map, std::move(s.writer), s.log};
                        }, true});
  }
  if (!stores.empty())
    lmdb_metrics_.emplace(r, std::move(stores));
}

void roles::stop(caf::actor_system&) {
  if (copies_)
    copies_->stop();
  auto end = [](auto& role) {
    if (!role)
      return;
    role->permits.stop();
    caf::anon_send_exit(role->role.supervisor, caf::exit_reason::user_shutdown);
  };
  end(mailbox_);
  end(storage_);
  end(index_);
}

bool roles::stopped() const {
  return !is_running("core.supervisor") && !is_running("index") && !is_running("storage")
         && !is_running("mailbox");
}

void roles::close() {
  for (const auto& pool : {readers_, lookups_})
    if (pool)
      pool->stop();
  if (movers_)
    movers_->stop();
  if (mail_)
    mail_->close();
  mailbox_.reset();
  storage_.reset();
  index_.reset();
  lmdb_metrics_.reset();
  replication_metrics_.reset();
  storage_metrics_.reset();
  index_metrics_.reset();
  copies_.reset();
  mail_metrics_.reset();
  mail_.reset();
  objects_.reset();
  names_.reset();
}

} // namespace ron::node
