#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/store/lookup_path.hpp"
#include "core/store/residency.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

struct MDB_cursor;
struct MDB_txn;

namespace ron::core::store {

class environment;

/// A table of an environment: its place in `environment_options::tables`.
enum class table : std::uint16_t {};

/// The value under `k` in any transaction. Error: not_found (without text).
result<byte_view> get_from(MDB_txn* txn, unsigned dbi, byte_view k);

/// Walks over the entries of a table in the order of their keys. Keys and values point into the
/// map: they are valid while the view lives, in a transaction only until its next write. Ends with
/// an error where the keys are out of order: a damaged tree may lead in circles for ever.
class cursor {
public:
  cursor(MDB_txn* txn, unsigned dbi) noexcept;
  cursor(cursor&& o) noexcept
    : cursor_(std::exchange(o.cursor_, nullptr)), key_(o.key_), value_(o.value_), error_(o.error_),
      at_(o.at_), at_size_(o.at_size_) {
    // nop
  }
  cursor& operator=(cursor&&) = delete;
  ~cursor();

  /// Each moves and says whether there is an entry now. False at the end and after a failure.
  bool first() noexcept;
  bool last() noexcept;
  /// To the first entry whose key is not less than `k`. `k` must not be empty.
  bool seek(byte_view k) noexcept;
  bool next() noexcept;
  bool prev() noexcept;

  byte_view key() const noexcept { return key_; }
  byte_view value() const noexcept { return value_; }
  /// Nothing, or why the walk ended early.
  result<void> status() const;

private:
  static constexpr std::size_t key_bytes_max = 511; ///< LMDB's own

  bool move(int operation, byte_view k = {}) noexcept;
  bool step(int operation, bool forward) noexcept;
  bool out_of_order() noexcept;

  MDB_cursor* cursor_ = nullptr;
  byte_view key_;
  byte_view value_;
  int error_ = 0;
  std::array<std::uint8_t, key_bytes_max> at_{}; ///< a copy of `key_`, which a write may move
  std::size_t at_size_ = 0;                    ///< 0 = nowhere yet
};

/// A consistent state of the environment, to be held for one batch of work and not longer: while
/// it lives no page freed after it can be used again. Values point into the map and die with it.
/// One thread.
class read_view {
public:
  read_view(read_view&& o) noexcept
    : owner_(std::exchange(o.owner_, nullptr)), txn_(std::exchange(o.txn_, nullptr)) {
    // nop
  }
  read_view& operator=(read_view&&) = delete;
  ~read_view();

  /// The value under `k`. Error: not_found (without text).
  result<byte_view> get(table t, byte_view k) const;
  cursor scan(table t) const noexcept;
  /// True if looking for `k` does not wait for a disk, see `path_in_memory`: before a shard calls
  /// `get` or `seek`. A value of more than half a page is another matter, see `resident`. A few
  /// hundred ns, and a system call for each page that nobody asked for in the last second.
  bool in_memory(table t, byte_view k, lookup how = lookup::exact) const noexcept;
  /// Entries of a table; no walk.
  std::uint64_t entries(table t) const noexcept;
  /// Copies a value of this view, see `mapped_file::copy`.
  copied copy(byte_view v, std::span<std::uint8_t> to, bool may_wait) const noexcept;
  /// See `mapped_file::read_ahead`.
  void read_ahead(byte_view v) const noexcept;

private:
  friend class environment;
  read_view(environment* owner, MDB_txn* txn) noexcept : owner_(owner), txn_(txn) {}

  environment* owner_;
  MDB_txn* txn_;
};

/// What a batch may write before new data is refused, and has written of it.
struct map_room {
  std::uint64_t limit = UINT64_MAX;
  std::uint64_t used = 0;
};

/// What a write job sees and changes: everything before it in the batch, nothing of others after.
/// Lives on the writer's thread during `write_job::apply`.
class transaction {
public:
  transaction(std::span<const unsigned> dbis, MDB_txn* txn, map_room& room) noexcept
    : dbis_(dbis), txn_(txn), room_(room) {
    // nop
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// The value under `k`, valid until the next write. Error: not_found (without text).
  result<byte_view> get(table t, byte_view k) const;
  cursor scan(table t) const noexcept;
  /// Entries of a table; no walk.
  std::uint64_t entries(table t) const noexcept;

  /// Creates or replaces. Errors: store_quota (map full), internal (key or value of a bad size).
  result<void> put(table t, byte_view k, byte_view v);
  /// Creates. Error: conflict if the key is there.
  result<void> insert(table t, byte_view k, byte_view v);
  /// Removes. Error: not_found.
  result<void> del(table t, byte_view k);

  /// Sets `bytes` of new data against the room that the map has for it; false if there is no such
  /// room. For a job that counts as one that frees and has parts that do not: the writer does the
  /// same for jobs as a whole.
  bool claim(std::size_t bytes) noexcept;

  /// True once something may have changed: a job that fails now must be rolled back.
  bool touched() const noexcept { return touched_; }

private:
  friend class table_writer;

  result<void> write(table t, byte_view k, byte_view v, unsigned flags);

  std::span<const unsigned> dbis_;
  MDB_txn* txn_;
  map_room& room_;
  bool touched_ = false;
};

/// Changes many entries of one table in a row. Each change begins where the last one was made: in
/// the order of keys, or against it, most find their page without a search. Lives no longer than
/// the `write_job::apply` in which it was made.
class table_writer {
public:
  table_writer(transaction& t, table in) noexcept;
  table_writer(const table_writer&) = delete;
  table_writer& operator=(const table_writer&) = delete;
  ~table_writer();

  table of() const noexcept { return table_; }
  /// Creates or replaces. Returns the place of the value in its page, which the caller fills before
  /// anything else happens to the transaction. Errors: as `transaction::put`.
  result<std::span<std::uint8_t>> put(byte_view k, std::size_t value_bytes);
  /// Removes. Error: not_found.
  result<void> del(byte_view k);

private:
  transaction& in_;
  const table table_;
  MDB_cursor* cursor_ = nullptr;
  int error_;
};

} // namespace ron::core::store
