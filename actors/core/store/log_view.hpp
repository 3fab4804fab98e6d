#pragma once

#include "core/store/log_files.hpp"
#include "core/store/log_scan.hpp"
#include "core/store/net_changes.hpp"
#include "core/store/snapshot.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ron::core::store {

/// What the log in front of an environment adds to a snapshot of it, for who does not own it. To be
/// read before the snapshot is taken, so that nothing is between the two. One thread.
class log_view {
public:
  /// Nothing, if there is no log. Errors: those of `read_log`.
  static result<log_view> read(const std::string& folder);

  /// To be called once, with a snapshot that was taken later.
  void join(const snapshot& s);

  const std::vector<log_damage>& damages() const noexcept { return damages_; }
  /// What the snapshot does not have yet; after `join`.
  std::span<const log_step> changes() const noexcept;
  /// Records with these.
  std::uint64_t records() const noexcept { return records_; }
  /// Those that hold something else than steps.
  std::size_t unreadable() const noexcept { return changes_ ? changes_->damaged() : 0; }
  /// Of all files.
  std::uint64_t bytes() const noexcept;

private:
  std::vector<std::pair<std::size_t, log_image>> files_;
  std::vector<log_damage> damages_;
  std::unique_ptr<net_changes> changes_;
  std::uint64_t records_ = 0;
};

} // namespace ron::core::store
