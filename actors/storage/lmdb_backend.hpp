#pragma once

#include "core/store/environment.hpp"
#include "core/store/faults.hpp"
#include "core/store/writer.hpp"
#include "storage/backend.hpp"

#include <expected>
#include <memory>
#include <string>

namespace ron::storage {

/// Where durable objects lie and how much of what they may take.
struct lmdb_backend_options {
  std::string path;                   ///< folder; its parent exists
  std::uint64_t map_bytes = 0;        ///< cap of the file, address space only
  std::uint32_t readers_max = 32;     ///< shards + 16
  std::uint64_t quota = 0;            ///< bytes of objects; 0 = only the map bounds them
  std::uint64_t verified_cache = 64u << 20; ///< bytes of RAM; 0 = off
  /// Room for a piece of every open upload (`storage_limits::puts_max`).
  core::store::writer_limits writer{.queue = {.jobs_max = 8'192, .bytes_max = 48u << 20}};
};

/// Objects in LMDB. An upload is acknowledged after the commit that contains its record has
/// reached the disk; what earlier processes left unfinished is collected from the start on.
/// Errors as `environment::open`.
std::expected<std::unique_ptr<backend>, core::store::open_error>
open_lmdb_backend(const lmdb_backend_options& options, const core::clock& clock,
                  core::store::faults* injected = nullptr);

} // namespace ron::storage
