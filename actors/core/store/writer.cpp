#include "core/store/writer.hpp"

#include "core/store/lmdb_error.hpp"

#include <lmdb.h>
#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <exception>
#include <string>
#include <utility>

namespace ron::core::store {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

/// A file that could not be opened again is tried this often while writes come in.
constexpr auto reopen_interval = 250ms;
/// Counting free pages takes no more than one in so many parts of the thread's time.
constexpr int count_share = 100;

} // namespace

/// One group commit.
struct writer::batch {
  struct item {
    write_job job;
    result<void> outcome;
    bool applied = true; ///< false: failed after it had written, not to be tried again
  };
  std::vector<item> items;
  std::size_t bytes = 0;
  std::size_t callers = 0;
  steady::time_point end{};
  map_room room;             ///< for jobs that do not free
  bool changed = false;      ///< there is something to commit
  bool spoilt = false;       ///< a failed job has left traces in the transaction

  void add(write_job job) {
    bytes += job.bytes;
    callers += job.callers;
    items.push_back({std::move(job), {}});
  }
};

writer::writer(environment& env, writer_limits limits, faults* injected)
  : env_(env), limits_(limits), faults_(injected), queue_(limits.queue),
    thread_([this] { run(); }) {
  // nop
}

writer::~writer() {
  stop();
}

void writer::submit(write_job job) {
  error refusal;
  {
    std::lock_guard guard{mutex_};
    if (!stopping_ && queue_.push(job)) {
      // Whoever lingers for more is not woken for each of them.
      if (!lingering_ || is_enough())
        work_.notify_one();
      return;
    }
    ++stats_.refused_jobs;
    refusal = stopping_ ? error{ec::draining, "store: stopped", 1'000}
                        : error{ec::busy, "store: write queue is full", 50};
  }
  job.then(std::unexpected{std::move(refusal)});
}

void writer::stop() {
  std::call_once(joined_, [this] {
    {
      std::lock_guard guard{mutex_};
      stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
  });
}

writer_stats writer::stats() const {
  std::lock_guard guard{mutex_};
  auto out = stats_;
  out.queued_jobs = queue_.size();
  out.queued_bytes = queue_.bytes();
  return out;
}

void writer::run() {
  ::pthread_setname_np(::pthread_self(), "ron-write");
  while (wait_for_work())
    process();
}

bool writer::wait_for_work() {
  std::unique_lock lock{mutex_};
  stats_.working_jobs = 0;
  const auto has_work = [this] { return stopping_ || !queue_.empty(); };
  while (uncounted_ && !work_.wait_until(lock, count_not_before_, has_work)) {
    lock.unlock();
    count_free_pages();
    lock.lock();
  }
  work_.wait(lock, has_work);
  if (queue_.empty())
    return false;
  // Callers of the last batch who write again come back within moments of each other. Waiting for
  // them a fraction of a commit is cheaper than a commit for the first of them alone.
  lingering_ = true;
  auto linger = std::min<std::chrono::nanoseconds>(limits_.batch_time, last_commit_ / 2);
  work_.wait_for(lock, linger, [this] { return stopping_ || is_enough(); });
  lingering_ = false;
  return true;
}

/// As many wait as were told of the last commit, or all that fits into a batch.
bool writer::is_enough() const noexcept {
  return queue_.callers() >= last_batch_callers_ || queue_.bytes() >= limits_.batch_bytes;
}

std::optional<write_job> writer::next(const batch& b) {
  if (!b.items.empty() && steady::now() >= b.end)
    return std::nullopt;
  std::lock_guard guard{mutex_};
  auto job = queue_.pop(b.bytes, limits_.batch_bytes);
  stats_.working_jobs += job ? 1 : 0;
  return job;
}

// -- one batch --------------------------------------------------------------------------------

void writer::process() {
  batch b;
  auto outcome = attempt(b);
  if (b.items.empty()) // failed before a job was looked at
    take(b);
  count_free_pages(); // before anybody is told, who may look at the figures
  finish(b, outcome);
  if (needs_reopen_)
    reopen();
}

result<void> writer::attempt(batch& b) {
  if (needs_reopen_)
    reopen();
  if (needs_reopen_)
    return fail(ec::degraded, "store: cannot be opened again", 1'000);
  auto txn = begin();
  if (!txn)
    return std::unexpected{txn.error()};
  b.end = steady::now() + limits_.batch_time;
  b.room.limit = env_.room_for_data(4 * limits_.batch_bytes);
  fill(b, *txn);
  while (b.spoilt) {
    ::mdb_txn_abort(*txn);
    txn = begin();
    if (!txn)
      return std::unexpected{txn.error()};
    replay(b, *txn);
  }
  if (b.changed)
    return commit(*txn);
  ::mdb_txn_abort(*txn);
  return {};
}

void writer::fill(batch& b, MDB_txn* txn) {
  while (auto job = next(b)) {
    b.add(std::move(*job));
    auto& item = b.items.back();
    item.outcome = apply(b, item.job, txn);
    if (b.spoilt) {
      item.applied = false;
      return;
    }
  }
}

void writer::replay(batch& b, MDB_txn* txn) {
  b.spoilt = false;
  b.changed = false;
  b.room.used = 0;
  for (auto& item : b.items) {
    if (!item.applied)
      continue;
    item.outcome = apply(b, item.job, txn);
    if (b.spoilt) {
      item.applied = false;
      break;
    }
  }
  std::lock_guard guard{mutex_};
  ++stats_.replays;
}

void writer::take(batch& b) {
  b.end = steady::time_point::max();
  while (auto job = next(b))
    b.add(std::move(*job));
}

result<void> writer::apply(batch& b, write_job& job, MDB_txn* txn) {
  transaction t{env_.dbis(), txn, b.room};
  if (!job.frees && !t.claim(job.bytes))
    return fail(ec::store_quota, "store: " + env_.path() + " is full (lmdb.map-max)");
  if (auto rc = faults_ != nullptr ? faults_->on_write() : 0; rc != 0)
    return lmdb_fail(rc, "write");
  result<void> out;
  try {
    out = job.apply(t);
  } catch (const std::exception& e) {
    out = fail(ec::internal, std::string{"store: a write job threw: "} + e.what());
  }
  if (out)
    b.changed = b.changed || t.touched();
  else
    b.spoilt = t.touched();
  return out;
}

// -- LMDB -------------------------------------------------------------------------------------

result<MDB_txn*> writer::begin() {
  MDB_txn* txn = nullptr;
  if (auto rc = ::mdb_txn_begin(env_.env_, nullptr, 0, &txn); rc != 0) {
    needs_reopen_ = true;
    return lmdb_fail(rc, "begin");
  }
  return txn;
}

result<void> writer::commit(MDB_txn* txn) {
  auto start = steady::now();
  auto rc = faults_ != nullptr ? faults_->on_sync() : 0;
  if (rc != 0)
    ::mdb_txn_abort(txn);
  else
    rc = ::mdb_txn_commit(txn);
  if (rc == 0 && faults_ != nullptr)
    faults_->synced();
  auto took = steady::now() - start;
  // A full disk or map was noticed before anything of this commit counted; if not, the next
  // transaction cannot begin. After any other failure nobody knows what the kernel still holds.
  needs_reopen_ = rc != 0 && rc != ENOSPC && rc != EDQUOT && rc != MDB_MAP_FULL;
  uncounted_ = uncounted_ || rc == 0;
  std::lock_guard guard{mutex_};
  last_commit_ = took;
  if (rc != 0) {
    ++stats_.failed_commits;
    return lmdb_fail(rc, "commit");
  }
  ++stats_.commits;
  stats_.commit_time += took;
  stats_.commit_time_max = std::max<std::chrono::nanoseconds>(stats_.commit_time_max, took);
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  auto bucket = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(us)));
  ++stats_.commit_times[std::min(bucket, writer_stats::buckets - 1)];
  return {};
}

void writer::reopen() {
  auto now = steady::now();
  if (now < reopen_not_before_)
    return;
  auto ok = env_.reopen();
  needs_reopen_ = !ok;
  reopen_not_before_ = ok ? now : now + reopen_interval;
  std::lock_guard guard{mutex_};
  if (ok)
    ++stats_.reopened;
}

/// What was freed since the last time, if it is not too soon for that.
void writer::count_free_pages() {
  const auto began = steady::now();
  if (!uncounted_ || began < count_not_before_)
    return;
  uncounted_ = false;
  if (!needs_reopen_) // opening it counts them, too
    env_.count_free_pages();
  const auto end = steady::now();
  count_not_before_ = end + count_share * (end - began);
}

void writer::finish(batch& b, const result<void>& committed) {
  {
    std::lock_guard guard{mutex_};
    last_batch_callers_ = b.callers;
    stats_.largest_batch = std::max(stats_.largest_batch, b.items.size());
    for (auto& item : b.items) {
      if (item.outcome && !committed)
        item.outcome = committed;
      ++(item.outcome ? stats_.jobs : stats_.failed_jobs);
      stats_.bytes += item.outcome ? item.job.bytes : 0;
    }
  }
  for (auto& item : b.items)
    item.job.then(std::move(item.outcome));
}

} // namespace ron::core::store
