#pragma once

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/store/environment.hpp"
#include "core/store/writer.hpp"
#include "index/record.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ron::index {

/// Called once with the outcome of a write, on any thread, after it is as durable as the store
/// makes it.
template <class T>
using written = std::move_only_function<void(core::result<T>)>;

/// What can be said without waiting for a disk.
template <class T>
using maybe = std::optional<core::result<T>>;

/// What a store on a disk reports.
struct store_stats {
  std::optional<core::store::environment_usage> map; ///< none while the store is stalled
  core::store::writer_stats writer;
};

/// Where names and manifests are kept. One object serves all shards; every function may be called
/// from any thread. Writes are ordered, reads see every write whose outcome was reported.
class store {
public:
  virtual ~store() = default;

  /// Creates or replaces a name under its precondition, with its manifest in the same step.
  /// Errors: precondition_failed, store_quota, disk_full, busy (the write queue is full).
  virtual void put(put_name w, written<name_written> then) = 0;
  /// Removes a name. Errors: not_found, precondition_failed, busy.
  virtual void del(del_name w, written<name_record> then) = 0;
  /// Stores the manifest of an object. Errors: store_quota, disk_full, busy.
  virtual void put_manifest(core::cid c, std::string manifest, written<void> then) = 0;

  // Each read may wait for a disk. Errors of all: busy, degraded.

  /// Errors: not_found.
  virtual core::result<name_record> find(std::string_view name) = 0;
  /// Names that start with `prefix`, after the cursor `after`, at most `limit`.
  virtual core::result<name_page> list(std::string_view prefix, std::string_view after,
                                       std::size_t limit) = 0;
  /// The manifest of an object as JSON text. Errors: not_found.
  virtual core::result<std::string> manifest(const core::cid& c) = 0;
  /// True if at least one name points at the object.
  virtual core::result<bool> named(const core::cid& c) = 0;

  // The same on a shard, which waits for nobody: nothing if the answer would have to come from a
  // disk, or if the store cannot be read right now. Then the function above is called on a thread
  // that may wait.

  virtual maybe<name_record> try_find(std::string_view name) { return find(name); }
  virtual maybe<name_page> try_list(std::string_view prefix, std::string_view after,
                                    std::size_t limit) {
    return list(prefix, after, limit);
  }
  virtual maybe<std::string> try_manifest(const core::cid& c) { return manifest(c); }
  virtual maybe<bool> try_named(const core::cid& c) { return named(c); }

  /// Looks whether the store goes on. To be called every second or so.
  virtual void maintain() {}
  /// True while a call into the store, or a write, does not come back, see
  /// `core::store::store_watch`; as of the last `maintain`.
  virtual bool stalled() const noexcept { return false; }
  /// For metrics; nothing of a store in RAM.
  virtual std::optional<store_stats> stats() { return std::nullopt; }
};

/// Bounds of a store in RAM.
struct ram_store_limits {
  std::size_t names_max = 1'000'000;
  std::uint64_t bytes_max = 256u << 20; ///< names and manifests with their bookkeeping
};

/// A store that forgets everything with the process (amnesia). Opens no file.
std::unique_ptr<store> make_ram_store(ram_store_limits limits, const core::clock& clock);

} // namespace ron::index
