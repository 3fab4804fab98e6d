#include "core/store/metrics.hpp"

#include <chrono>
#include <utility>

namespace ron::core::store {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct family {
  metrics::kind kind;
  const char* name;
  const char* help;
  double (*value)(const store_report&);
};

double number(std::uint64_t n) noexcept {
  return static_cast<double>(n);
}
double seconds(std::chrono::nanoseconds d) noexcept {
  return std::chrono::duration<double>(d).count();
}

constexpr auto counter = metrics::kind::counter;
constexpr auto gauge = metrics::kind::gauge;

constexpr family families[] = {
  {gauge, "lmdb_map_bytes", "Cap of the file (lmdb.map-max)",
   [](const store_report& r) { return number(r.usage->map_bytes); }},
  {gauge, "lmdb_used_bytes", "Bytes of pages in use; new data is refused at 95 % of the map",
   [](const store_report& r) { return number(r.usage->used_bytes); }},
  {gauge, "lmdb_file_bytes", "Bytes up to the last page ever used",
   [](const store_report& r) { return number(r.usage->file_bytes); }},
  {gauge, "lmdb_readers", "Reader slots taken",
   [](const store_report& r) { return number(r.usage->readers); }},
  {gauge, "lmdb_queue_jobs", "Write jobs that wait",
   [](const store_report& r) { return number(r.writer.queued_jobs); }},
  {gauge, "lmdb_queue_bytes", "Bytes of write jobs that wait",
   [](const store_report& r) { return number(r.writer.queued_bytes); }},
  {counter, "lmdb_commits_total", "Group commits that reached the disk",
   [](const store_report& r) { return number(r.writer.commits); }},
  {counter, "lmdb_commit_failures_total", "Group commits that failed",
   [](const store_report& r) { return number(r.writer.failed_commits); }},
  {counter, "lmdb_commit_seconds_total", "Time in commits, fdatasync included",
   [](const store_report& r) { return seconds(r.writer.commit_time); }},
  {gauge, "lmdb_commit_seconds_max", "Longest commit since start",
   [](const store_report& r) { return seconds(r.writer.commit_time_max); }},
  {counter, "lmdb_reopened_total", "Times the environment was closed and opened again",
   [](const store_report& r) { return number(r.writer.reopened); }},
  {counter, "lmdb_jobs_total", "Write jobs committed",
   [](const store_report& r) { return number(r.writer.jobs); }},
  {counter, "lmdb_jobs_failed_total", "Write jobs that failed alone or with their batch",
   [](const store_report& r) { return number(r.writer.failed_jobs); }},
  {counter, "lmdb_jobs_refused_total", "Write jobs that the full queue did not take",
   [](const store_report& r) { return number(r.writer.refused_jobs); }},
  {counter, "lmdb_written_bytes_total", "Bytes of committed write jobs",
   [](const store_report& r) { return number(r.writer.bytes); }},
};

struct log_family {
  metrics::kind kind;
  const char* name;
  const char* help;
  double (*value)(const log_stats&);
};

constexpr log_family log_families[] = {
  {gauge, "store_log_bytes", "Bytes of log segments with something LMDB does not have yet",
   [](const log_stats& s) { return number(s.bytes); }},
  {gauge, "store_log_bytes_max", "Bound of store_log_bytes",
   [](const log_stats& s) { return number(s.bytes_max); }},
  {gauge, "store_log_pending", "Changes that are in the log and not in LMDB",
   [](const log_stats& s) { return number(s.pending_steps); }},
  {gauge, "store_log_pending_bytes", "Memory that these take; store_log_bytes_max bounds it",
   [](const log_stats& s) { return number(s.pending_bytes); }},
  {gauge, "store_log_queue_jobs", "Write jobs that wait for the log",
   [](const log_stats& s) { return number(s.queued_jobs); }},
  {gauge, "store_log_queue_bytes", "Bytes of write jobs that wait for the log",
   [](const log_stats& s) { return number(s.queued_bytes); }},
  {counter, "store_log_syncs_total", "Groups of writes that reached the disk",
   [](const log_stats& s) { return number(s.syncs); }},
  {counter, "store_log_sync_failures_total", "Groups of writes that failed",
   [](const log_stats& s) { return number(s.failed_syncs); }},
  {counter, "store_log_sync_seconds_total", "Time in writes, fdatasync included",
   [](const log_stats& s) { return seconds(s.sync_time); }},
  {gauge, "store_log_sync_seconds_max", "Longest write since start",
   [](const log_stats& s) { return seconds(s.sync_time_max); }},
  {counter, "store_log_written_bytes_total", "Bytes written to the log",
   [](const log_stats& s) { return number(s.written_bytes); }},
  {counter, "store_log_jobs_total", "Write jobs kept by the log",
   [](const log_stats& s) { return number(s.jobs); }},
  {counter, "store_log_jobs_failed_total", "Write jobs that failed alone or with their group",
   [](const log_stats& s) { return number(s.failed_jobs); }},
  {counter, "store_log_jobs_refused_total", "Write jobs that the full queue did not take",
   [](const log_stats& s) { return number(s.refused_jobs); }},
  {counter, "store_log_checkpoints_total", "Times the log was brought over to LMDB",
   [](const log_stats& s) { return number(s.checkpoints); }},
  {counter, "store_log_checkpoint_failures_total", "Times that failed; it is tried again",
   [](const log_stats& s) { return number(s.failed_checkpoints); }},
  {counter, "store_log_checkpoint_seconds_total", "Time in checkpoints",
   [](const log_stats& s) { return seconds(s.checkpoint_time); }},
  {gauge, "store_log_checkpoint_seconds_max", "Longest checkpoint since start",
   [](const log_stats& s) { return seconds(s.checkpoint_time_max); }},
  {gauge, "store_log_damaged", "Records of the log that were missing when it was opened",
   [](const log_stats& s) { return number(s.damaged_records); }},
};

} // namespace

/// The last report of each source; a scrape, which holds the registry's lock, asks for many values
/// at once.
struct store_metrics::cache {
  explicit cache(std::vector<store_source> s)
    : sources(std::move(s)), reports(sources.size(), {{environment_usage{}, {}, {}}, {}}) {
    // nop
  }

  const store_report& at(std::size_t i) {
    auto& [report, taken] = reports[i];
    if (auto now = steady::now(); taken == steady::time_point{} || now - taken > 500ms) {
      auto fresh = sources[i].report();
      if (!fresh.usage)
        fresh.usage = report.usage;
      report = std::move(fresh);
      taken = now;
    }
    return report;
  }

  std::vector<store_source> sources;
  std::vector<std::pair<store_report, steady::time_point>> reports;
};

store_metrics::store_metrics(metrics::registry& r, std::vector<store_source> sources)
  : cache_(std::make_shared<cache>(std::move(sources))) {
  std::vector<std::string> names;
  for (const auto& s : cache_->sources)
    names.push_back(s.name);
  for (const auto& f : families)
    shown_.push_back(std::make_unique<metrics::callback>(
      r, f.kind, f.name, f.help, "store", names,
      [cached = cache_, value = f.value](std::size_t i) { return value(cached->at(i)); }));
  std::vector<std::string> logged;
  std::vector<std::size_t> place;
  for (std::size_t i = 0; i < cache_->sources.size(); ++i)
    if (cache_->sources[i].logged) {
      logged.push_back(names[i]);
      place.push_back(i);
    }
  if (logged.empty())
    return;
  for (const auto& f : log_families)
    shown_.push_back(std::make_unique<metrics::callback>(
      r, f.kind, f.name, f.help, "store", logged,
      [cached = cache_, value = f.value, place](std::size_t i) {
        return value(cached->at(place[i]).log.value_or(log_stats{}));
      }));
}

store_metrics::~store_metrics() = default;

} // namespace ron::core::store
