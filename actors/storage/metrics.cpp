#include "storage/metrics.hpp"

#include <chrono>
#include <utility>

namespace ron::storage {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using core::metrics::kind;

struct family {
  kind is;
  const char* name;
  const char* help;
  std::uint64_t (*value)(const storage_stats&);
};

constexpr family families[] = {
  {kind::gauge, "storage_objects", "Objects stored",
   [](const storage_stats& s) { return s.objects; }},
  {kind::gauge, "storage_bytes", "Bytes of stored objects with their bookkeeping",
   [](const storage_stats& s) { return s.bytes; }},
  {kind::gauge, "storage_reserved_bytes", "Bytes taken by unfinished uploads",
   [](const storage_stats& s) { return s.reserved; }},
  {kind::gauge, "storage_quota_bytes", "Bound of the two (storage.quota); 0 = none",
   [](const storage_stats& s) { return s.quota; }},
  {kind::gauge, "storage_puts_open", "Unfinished uploads",
   [](const storage_stats& s) { return s.puts_open; }},
  {kind::gauge, "storage_pending_bytes", "Bytes of uploads on their way to the disk",
   [](const storage_stats& s) { return s.pending_bytes; }},
  {kind::gauge, "storage_writable", "1 unless the last write failed",
   [](const storage_stats& s) { return std::uint64_t{s.writable}; }},
  {kind::gauge, "storage_stalled", "1 while a call into the store does not come back",
   [](const storage_stats& s) { return std::uint64_t{s.stalled}; }},
  {kind::counter, "storage_puts_total", "Uploads that were stored",
   [](const storage_stats& s) { return s.puts; }},
  {kind::counter, "storage_puts_failed_total", "Uploads that were refused, aborted or collected",
   [](const storage_stats& s) { return s.puts_failed; }},
  {kind::counter, "storage_collect_failed_total",
   "Steps of removing what was deleted that failed; they are tried again",
   [](const storage_stats& s) { return s.collect_failed; }},
  {kind::counter, "storage_bytes_in_total", "Bytes of uploads that were stored",
   [](const storage_stats& s) { return s.bytes_in; }},
  {kind::counter, "storage_bytes_out_total", "Bytes handed out",
   [](const storage_stats& s) { return s.bytes_out; }},
  {kind::counter, "storage_reads_total", "Chunks handed out",
   [](const storage_stats& s) { return s.reads; }},
  {kind::counter, "storage_reads_cold_total", "Reads that had to wait for a disk",
   [](const storage_stats& s) { return s.reads_cold; }},
  {kind::counter, "storage_verified_total", "Groups of 64 KiB hashed to be handed out",
   [](const storage_stats& s) { return s.verified; }},
  {kind::counter, "storage_integrity_fail_total", "Groups and records that were found damaged",
   [](const storage_stats& s) { return s.corrupt; }},
  {kind::counter, "storage_scrubbed_total", "Groups of 64 KiB looked at by scrubs",
   [](const storage_stats& s) { return s.scrubbed; }},
  {kind::counter, "storage_cache_hits_total", "Groups found verified",
   [](const storage_stats& s) { return s.cache.hits; }},
  {kind::counter, "storage_cache_misses_total", "Groups not found verified",
   [](const storage_stats& s) { return s.cache.misses; }},
  {kind::counter, "storage_cache_evicted_total", "Verified groups dropped for others",
   [](const storage_stats& s) { return s.cache.evicted; }},
  {kind::counter, "storage_cache_passed_total", "Groups read for the first time, not kept",
   [](const storage_stats& s) { return s.cache.passed; }},
  {kind::gauge, "storage_cache_bytes", "Bytes of verified groups held (storage.verified-cache)",
   [](const storage_stats& s) { return s.cache.bytes; }},
  {kind::counter, "storage_tree_cache_hits_total", "Pages of outboards found in memory",
   [](const storage_stats& s) { return s.outboards.hits; }},
  {kind::counter, "storage_tree_cache_misses_total", "Pages of outboards read from the store",
   [](const storage_stats& s) { return s.outboards.misses; }},
  {kind::gauge, "storage_tree_cache_bytes",
   "Bytes of pages of outboards held (a sixteenth of storage.verified-cache, at most 4 MiB)",
   [](const storage_stats& s) { return s.outboards.bytes; }},
};

} // namespace

/// A scrape asks for many values at once and holds the registry's lock.
struct storage_metrics::cache {
  std::shared_ptr<backend> db;
  storage_stats last{};
  steady::time_point taken{};

  const storage_stats& get() {
    if (auto now = steady::now(); taken == steady::time_point{} || now - taken > 500ms) {
      last = db->stats();
      taken = now;
    }
    return last;
  }
};

storage_metrics::storage_metrics(core::metrics::registry& r, std::shared_ptr<backend> db)
  : cache_(std::make_shared<cache>(std::move(db))) {
  for (const auto& f : families)
    shown_.push_back(std::make_unique<core::metrics::callback>(
      r, f.is, f.name, f.help,
      [cached = cache_, value = f.value] { return static_cast<double>(value(cached->get())); }));
}

storage_metrics::~storage_metrics() = default;

namespace {

struct replication_family {
  kind is;
  const char* name;
  const char* help;
  double (*value)(const replication_stats&);
};

template <auto Field>
double field(const replication_stats& s) {
  return static_cast<double>(s.*Field);
}

constexpr replication_family replication_families[] = {
  {kind::gauge, "rf_target", "Copies of an object that there should be (storage.rf)",
   field<&replication_stats::copies>},
  {kind::gauge, "rf_observed", "Copies of an object that there are, mean, by the work list",
   [](const replication_stats& s) { return s.observed(); }},
  {kind::gauge, "replication_pending", "Objects that wait for a copy or a repair",
   field<&replication_stats::pending>},
  {kind::gauge, "replication_unknown", "Objects that nobody has looked at since storage.rf rose",
   field<&replication_stats::unknown>},
  {kind::gauge, "replication_releases_pending", "Deleted objects that a peer has not heard of",
   field<&replication_stats::releases>},
  {kind::counter, "replication_releases_lost_total", "Deletions that peers will not hear of",
   field<&replication_stats::releases_lost>},
  {kind::gauge, "replication_peers", "Peers that copies may go to",
   [](const replication_stats& s) { return static_cast<double>(s.peers.size()); }},
  {kind::gauge, "replication_peers_up", "Peers that answered the last time",
   [](const replication_stats& s) { return static_cast<double>(s.peers_up()); }},
  {kind::gauge, "replication_rate_bytes", "Most bytes per second (storage.repair-rate); 0 = any",
   field<&replication_stats::rate>},
  {kind::counter, "replication_copies_total", "Copies that a peer has stored",
   field<&replication_stats::sent>},
  {kind::counter, "replication_repairs_total", "Objects repaired from a peer",
   field<&replication_stats::repaired>},
  {kind::counter, "replication_releases_total", "Deletions that a peer was told",
   field<&replication_stats::released>},
  {kind::counter, "replication_proofs_total", "Copies that a peer was asked to show",
   field<&replication_stats::proofs>},
  {kind::counter, "replication_unproven_total", "Copies that a peer claimed and could not show",
   field<&replication_stats::unproven>},
  {kind::counter, "replication_bytes_total", "Bytes of objects moved to and from peers",
   field<&replication_stats::bytes>},
};

/// The values of the label `reason`.
std::vector<std::string> failure_names() {
  std::vector<std::string> out;
  for (std::size_t i = 1; i <= transfer_failures; ++i)
    out.emplace_back(to_string(static_cast<transfer_failure>(i)));
  return out;
}

} // namespace

/// As `storage_metrics::cache`, but no older than the scrape: people wait for the list to be empty.
struct replication_metrics::cache {
  std::shared_ptr<replicator> copies;
  replication_stats last{};
  steady::time_point taken{};

  const replication_stats& get() {
    if (auto now = steady::now();
        copies && (taken == steady::time_point{} || now - taken > 20ms)) {
      last = copies->stats();
      taken = now;
    }
    return last;
  }
};

replication_metrics::replication_metrics(core::metrics::registry& r,
                                         std::shared_ptr<replicator> copies)
  : cache_(std::make_shared<cache>(std::move(copies))) {
  for (const auto& f : replication_families)
    shown_.push_back(std::make_unique<core::metrics::callback>(
      r, f.is, f.name, f.help,
      [cached = cache_, value = f.value] { return value(cached->get()); }));
  shown_.push_back(std::make_unique<core::metrics::callback>(
    r, kind::counter, "replication_failures_total", "Transfers that failed and are tried again",
    "reason", failure_names(), [cached = cache_](std::size_t i) {
      return static_cast<double>(cached->get().failed[i + 1]);
    }));
}

replication_metrics::~replication_metrics() = default;

} // namespace ron::storage
