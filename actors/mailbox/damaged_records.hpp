#pragma once

#include "core/store/log_scan.hpp"
#include "core/store/transaction.hpp"
#include "core/store/writer.hpp"

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_set>

namespace ron::mailbox {

/// What a disk or a stray write did to the mail of a store: damaged records are moved to a table
/// of their own, where whoever looks into it finds them as they were, and the rest goes on. Any
/// thread.
class damaged_records {
public:
  /// So many are told apart; those beyond are put aside all the same, but not counted.
  static constexpr std::size_t known_max = 65'536;

  /// Counts what was put aside in an earlier life.
  void remember(const core::store::read_view& view);
  /// Says that the record is damaged, once, and moves it. While the store takes no writes it stays
  /// where it is and is found again by the next reading.
  void put(core::store::writer& log, core::store::table in, core::byte_view key,
           core::byte_view value);
  /// Says that records of the log are missing, and remembers it.
  void put(core::store::writer& log, const core::store::log_damage& what);
  std::size_t count() const;

private:
  bool note(std::string name);

  mutable std::mutex mutex_;
  std::unordered_set<std::string> known_; ///< by key in the table
};

} // namespace ron::mailbox
