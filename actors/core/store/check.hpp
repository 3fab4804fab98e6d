#pragma once

#include "core/error.hpp"
#include "core/store/snapshot.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace ron::core::store {

/// Where the check of a store reports what it sees, as it sees it. One thread.
struct check_log {
  /// One sentence per damaged item: which, and what is wrong with it.
  std::function<void(const std::string&)> damaged;
  /// Bytes looked at since the last call.
  std::function<void(std::uint64_t)> passed;
  /// What was counted, by plural noun: "objects", "names".
  std::map<std::string, std::uint64_t> counts;
};

/// Calls `entry` for every entry of a table in order, and reports where the table itself is
/// damaged: keys out of order, entries that a search does not find, a walk that ends early.
/// `what` names an entry's kind. The views are valid during the call.
void check_table(const snapshot& s, table t, const std::string& what, check_log& log,
                 const std::function<void(byte_view key, byte_view value)>& entry);

} // namespace ron::core::store
