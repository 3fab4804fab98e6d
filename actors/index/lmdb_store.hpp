#pragma once

#include "core/store/environment.hpp"
#include "core/store/writer.hpp"
#include "index/store.hpp"

#include <expected>
#include <memory>
#include <string>

namespace ron::index {

/// Where a durable store lies and how large it may grow.
struct lmdb_store_options {
  std::string path;              ///< folder; its parent exists
  std::uint64_t map_bytes = 0;   ///< cap, address space only
  std::uint32_t readers_max = 32;
};

/// A store that survives the process: outcomes are reported after the commit that contains the
/// write has reached the disk. Errors as `environment::open`.
std::expected<std::unique_ptr<store>, core::store::open_error>
open_lmdb_store(const lmdb_store_options& options, const core::clock& clock,
                core::store::faults* injected = nullptr);

} // namespace ron::index
