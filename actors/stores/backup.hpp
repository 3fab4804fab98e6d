#pragma once

#include "core/store/copy.hpp"
#include "stores/places.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ron::stores {

/// One store of a backup.
struct copied {
  kind is = kind::index;
  std::string path;        ///< of the copy
  std::uint64_t bytes = 0;
};

/// Told which store is being copied, and how far; on a thread of the copy.
using backup_progress
  = std::function<void(const place& which, std::uint64_t written, std::uint64_t about)>;

/// Copies stores to the folder `to`, each as of one moment, one after the other in the order
/// given; a data folder for a node. The folder is made; it must be empty. Until all are complete
/// and durable their names end in `.partial`, and after an error they are gone again.
/// Errors: those of `copy_environment`. Blocks.
core::result<std::vector<copied>> backup(const std::vector<place>& from, const std::string& to,
                                         const backup_progress& tell = {});

} // namespace ron::stores
