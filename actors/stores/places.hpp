#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ron::stores {

/// What a store is for.
enum class kind : std::uint8_t { index, storage, mailbox };
/// The role's name, which is also the folder's below `node.data-dir`.
std::string to_string(kind k);

/// One store of a node.
struct place {
  kind is = kind::index;
  std::string path; ///< folder of the environment
};

/// The stores that lie below a data folder. Names come before objects: an object that is named has
/// been stored before, so that a copy made in this order knows every object that it names (unless
/// both were removed meanwhile). Error: not_found if there is none.
core::result<std::vector<place>> places_below(const std::string& data_dir);

/// The stores of a node with this configuration file, in the same order. Errors: bad_request (the
/// file is wrong), not_found (there is none, or the node keeps everything in RAM).
core::result<std::vector<place>> places_of(const std::string& config_file);

} // namespace ron::stores
