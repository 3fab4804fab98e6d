#pragma once

#include "core/error.hpp"
#include "core/store/files.hpp"
#include "core/store/transaction.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct MDB_env;

namespace ron::core::store {

/// An environment that this process does not own, opened for reading only: one of a stopped node,
/// a copy, or that of a node which runs and is not disturbed. On a medium that cannot be written
/// no lock is taken. One environment at a time per folder and process. One thread.
class guest {
public:
  /// Errors: not_found (no environment in the folder), busy (its data is being replaced), internal
  /// (not an LMDB file, or damaged), degraded (cannot be opened).
  static result<guest> open(const std::string& path, std::uint32_t tables_max);
  guest(guest&& o) noexcept;
  guest& operator=(guest&&) = delete;
  ~guest();

  MDB_env* env() const noexcept { return env_; }
  /// Bytes of the pages in use and of the file, about.
  std::uint64_t used_bytes() const noexcept;

private:
  guest(std::optional<file_lock> lock, MDB_env* env) noexcept : lock_(std::move(lock)), env_(env) {}
  std::optional<file_lock> lock_;
  MDB_env* env_;
};

/// The last commit of an environment, held until this goes: while it lives, the node that owns the
/// environment cannot use pages again that it frees, and its file may grow. One thread.
class snapshot {
public:
  /// `tables` as in `environment_options`. Errors: those of `guest::open`, internal (a table is
  /// missing), precondition_failed (another format than `format`).
  static result<snapshot> open(const std::string& path, const std::vector<std::string>& tables,
                               std::uint32_t format);
  snapshot(snapshot&& o) noexcept;
  snapshot& operator=(snapshot&&) = delete;
  ~snapshot();

  /// The value under `k`. Error: not_found (without text).
  result<byte_view> get(table t, byte_view k) const;
  cursor scan(table t) const noexcept;
  /// What the store says about itself under `k`. Error: not_found (without text).
  result<byte_view> meta(byte_view k) const { return get_from(txn_, meta_, k); }
  std::uint64_t used_bytes() const noexcept { return home_.used_bytes(); }

private:
  explicit snapshot(guest home) noexcept : home_(std::move(home)) {}
  guest home_;
  MDB_txn* txn_ = nullptr;
  unsigned meta_ = 0;
  std::vector<unsigned> dbis_;
};

} // namespace ron::core::store
