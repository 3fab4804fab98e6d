#pragma once

#include "core/store/writer.hpp"
#include "storage/backend.hpp"
#include "storage/budget.hpp"
#include "storage/collector.hpp"
#include "storage/counters.hpp"
#include "storage/verified_cache.hpp"

#include <atomic>
#include <memory>
#include <vector>

namespace ron::storage {

/// `replication_mode`, set while threads run.
struct replication_switch {
  std::atomic<bool> copies{false};
  std::atomic<bool> others{false};
  std::atomic<std::uint64_t> releases_max{0};

  void set(const replication_mode& m) noexcept {
    copies = m.copies;
    others = m.others;
    releases_max = m.releases_max;
  }
};

/// What the end of a hold has come to.
struct hold_end {
  std::uint64_t freed = 0; ///< bytes; 0 = others hold the object
  bool lost = false;       ///< no peer will hear of it: the list is full
};

/// What the uploads of an LMDB back end share. Outlives them.
struct lmdb_parts {
  core::store::writer& log;
  collector& loose;
  budget& room;
  counters& count;
  verified_cache& cache;
  const core::clock& clock;
  const replication_switch& notes; ///< what is noted in the work list

  /// Remembers whether writes get through, for readiness.
  void note(const core::result<void>& written) const noexcept;
  /// Accounts for a hold that has ended.
  void ended(const hold_end& e) const;
};

/// An upload into LMDB. Every group is a write job of its own; the last one travels with the
/// record, so that a small object is one job. How far the upload got is written with each group:
/// a group whose predecessor failed fails, too, whatever batch they were in.
class lmdb_upload final : public upload {
public:
  lmdb_upload(const lmdb_parts& parts, origin from);
  ~lmdb_upload() override;

  void add(full_group group, outcome<void> then) override;
  void commit(finished_upload last, const core::tenant& holder,
              outcome<put_result> then) override;

private:
  struct claim;

  bool take(std::uint64_t n);
  std::vector<core::bytes> take_pages(std::vector<std::uint8_t> nodes, bool all);

  lmdb_parts parts_;
  const origin from_;
  std::shared_ptr<claim> claim_;
  std::uint64_t groups_ = 0;         ///< added so far
  std::uint64_t pages_ = 0;          ///< of the outboard, handed to jobs so far
  std::vector<std::uint8_t> nodes_;  ///< less than a page
};

} // namespace ron::storage
