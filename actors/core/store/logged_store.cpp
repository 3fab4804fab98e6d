#include "core/store/logged_store.hpp"

#include "core/ids.hpp"
#include "core/store/key.hpp"
#include "core/store/lmdb_error.hpp"

#include <pthread.h>

#include <algorithm>
#include <future>
#include <string>
#include <utility>

namespace ron::core::store {

namespace {

using namespace std::chrono_literals;

/// Less room in the map than this is measured exactly.
constexpr std::size_t plenty = 32u << 20;
/// What a value takes of its last page at most.
constexpr std::size_t rest_of_a_page = 4'096;
/// How long a write waits for the end of a copy of the log, and how often it looks.
constexpr auto copy_patience = 5s;
constexpr auto copy_poll = 20ms;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::unexpected<open_error> cannot_open(const error& e) {
  return std::unexpected<open_error>{open_error{open_failure::failed, e.message}};
}

} // namespace

/// Jobs that are kept by one write.
struct logged_store::group {
  struct item {
    log_job job;
    result<void> outcome;
    std::vector<std::size_t> refused;
    std::size_t claims = 0;
  };
  std::vector<item> items;
  std::vector<byte_view> payload; ///< of those that are written
  std::size_t bytes = 0;
  std::size_t entries = 0;
  std::uint64_t room = 0; ///< of the map, for what this brings
  std::size_t written = 0;
  bool looked_again = false;

  void clear() {
    items.clear();
    payload.clear();
    bytes = 0;
    entries = 0;
    written = 0;
    looked_again = false;
  }
};

// -- opening --------------------------------------------------------------------------------------

logged_store::logged_store(logged_store_options options, faults* injected)
  : options_(std::move(options)), faults_(injected) {
  // nop
}

std::expected<std::unique_ptr<logged_store>, open_error>
logged_store::open(logged_store_options options, faults* injected) {
  std::unique_ptr<logged_store> out{new logged_store(std::move(options), injected)};
  auto env = environment::open(out->options_.environment);
  if (!env)
    return std::unexpected{env.error()};
  out->env_ = std::move(*env);
  out->direct_ = std::make_unique<writer>(*out->env_, writer_limits{}, injected);
  if (auto ok = out->open_log(); !ok)
    return std::unexpected{ok.error()};
  out->start();
  // If the disk does not let it happen now it happens later; until then readers merge.
  (void)out->settle();
  return out;
}

/// What the environment has of the log. A store that has none yet gets its name.
std::expected<std::uint64_t, open_error> logged_store::place_of_log() {
  {
    auto view = env_->wait_and_read();
    if (!view)
      return cannot_open(view.error());
    auto place = view->get(env_->meta(), text(log_place_key));
    if (place) {
      id_ = load<std::uint64_t>(*place);
      return load<std::uint64_t>(*place, 8);
    }
    if (place.error().code != ec::not_found)
      return cannot_open(place.error());
  }
  std::array<std::uint8_t, 8> raw{};
  random_bytes(raw);
  id_ = std::max<std::uint64_t>(load<std::uint64_t>(raw), 1);
  std::promise<result<void>> outcome;
  write_job job;
  job.frees = true;
  job.apply = [this](transaction& t) {
    return t.put(env_->meta(), text(log_place_key), key::of(id_, std::uint64_t{0}));
  };
  job.then = [&outcome](result<void> r) { outcome.set_value(std::move(r)); };
  direct_->submit(std::move(job));
  if (auto ok = outcome.get_future().get(); !ok)
    return cannot_open(ok.error());
  return 0;
}

std::expected<void, open_error> logged_store::open_log() {
  const auto applied = place_of_log();
  if (!applied)
    return std::unexpected{applied.error()};
  log_ = std::make_unique<append_log>(
    append_log_options{env_->path(), id_, options_.segment_bytes, options_.segments_max},
    faults_);
  log_checkpoint::source s;
  auto replay = log_->open(*applied, s.images);
  if (!replay)
    return cannot_open(replay.error());
  damages_ = std::move(replay->damages);
  for (const auto& d : damages_)
    stats_.damaged_records += d.last_lsn - d.first_lsn + 1;
  applied_ = *applied;
  room_ = env_->room_for_data(plenty);
  if (replay->last_lsn == *applied)
    return {};
  for (const auto& image : s.images)
    frozen_bytes_ += image.size();
  s.id = id_;
  s.end_value = options_.end_value;
  s.last_lsn = replay->last_lsn;
  s.trust_fresh = false;
  for (const auto& r : replay->records) {
    s.replayed.push_back(r.payload);
    s.claims += r.payload.size();
  }
  frozen_ = std::make_shared<log_checkpoint>(std::move(s));
  frozen_steps_ = frozen_->changes().all().size();
  if (auto bad = frozen_->changes().damaged(); bad != 0)
    stats_.damaged_records += bad;
  return {};
}

logged_store::~logged_store() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
    (void)checkpoint_now(); // what it cannot bring over stays in the log
  }
  if (direct_)
    direct_->stop();
}

// -- groups ---------------------------------------------------------------------------------------

void logged_store::submit(log_job job) {
  std::unique_lock lock{mutex_};
  const auto bytes = job.steps.size();
  if (!stopping_
      && (queue_.empty()
          || (queue_.size() < options_.queue_jobs_max
              && queue_bytes_ + bytes <= options_.queue_bytes_max))) {
    queue_bytes_ += bytes;
    queue_entries_ += job.entries.size();
    queue_.push_back(std::move(job));
    // Whoever lingers for more is not woken for each of them.
    const bool wakes = !lingering_ || is_enough();
    lock.unlock(); // or it would wake up to wait for the lock
    if (wakes)
      work_.notify_one();
    return;
  }
  ++stats_.refused_jobs;
  error refusal = stopping_ ? error{ec::draining, "store: stopped", 1'000}
                            : error{ec::busy, "store: write queue is full", 50};
  lock.unlock();
  job.then(std::unexpected{std::move(refusal)}, {});
}

void logged_store::run() {
  ::pthread_setname_np(::pthread_self(), "ron-log");
  group g;
  while (wait_for_work(g)) {
    keep(g);
    g.clear();
  }
}

/// As many wait as were told of the last write, or all that fits into a group.
bool logged_store::is_enough() const noexcept {
  return queue_entries_ >= last_group_entries_ || queue_bytes_ >= options_.group_bytes;
}

bool logged_store::wait_for_work(group& g) {
  std::unique_lock lock{mutex_};
  stats_.working_jobs = 0;
  for (;;) {
    if (checkpoint_due(steady::now())) {
      begin_checkpoint(lock);
      continue; // it gave the lock away meanwhile: somebody may wait for what comes next
    }
    if (!queue_.empty())
      break;
    if (stopping_)
      return false;
    if (const auto at = next_checkpoint())
      work_.wait_until(lock, *at);
    else
      work_.wait(lock);
  }
  // Callers of the last group who write again come back within moments of each other. Waiting for
  // them a fraction of a sync is cheaper than a sync for the first of them alone.
  lingering_ = true;
  const auto linger = std::min<std::chrono::nanoseconds>(options_.group_time, last_sync_ / 2);
  work_.wait_for(lock, linger, [this] { return stopping_ || is_enough(); });
  lingering_ = false;
  take(g);
  return true;
}

void logged_store::take(group& g) {
  while (!queue_.empty() && (g.items.empty() || g.bytes < options_.group_bytes)) {
    auto& job = queue_.front();
    g.bytes += job.steps.size();
    g.entries += job.entries.size();
    queue_bytes_ -= job.steps.size();
    queue_entries_ -= job.entries.size();
    g.items.push_back({std::move(job), {}, {}, 0});
    queue_.pop_front();
  }
  stats_.working_jobs = g.items.size();
}

void logged_store::keep(group& g) {
  for (auto& item : g.items)
    if (auto rc = faults_ != nullptr ? faults_->on_write() : 0; rc != 0)
      item.outcome = lmdb_fail(rc, "write");
  admit(g);
  const auto began = steady::now();
  const auto kept = append(g);
  finish(g, kept, steady::now() - began);
}

/// Sets what the group brings against the room that the map has for it.
void logged_store::admit(group& g) {
  {
    std::lock_guard guard{mutex_};
    const auto claimed = block_claims_ + (frozen_ ? frozen_->claims() : 0);
    g.room = room_ - std::min<std::uint64_t>(room_, claimed);
  }
  for (auto& item : g.items) {
    std::size_t start = 0;
    std::size_t cut = 0;
    for (std::size_t i = 0; item.outcome && i < item.job.entries.size(); ++i) {
      const auto& e = item.job.entries[i];
      const auto end = e.end - cut;
      if (e.brings != 0 && !claim(g, item.claims, e.brings)) {
        item.refused.push_back(i);
        item.job.steps.cut(start, end);
        cut += end - start;
      } else {
        start = end;
      }
    }
  }
}

bool logged_store::claim(group& g, std::size_t& claims, std::size_t bytes) {
  const auto n = bytes + rest_of_a_page;
  if (n > g.room && !std::exchange(g.looked_again, true)) {
    // What is pending was set against the room as if all of it came to stay.
    std::size_t mine = 0;
    for (const auto& item : g.items)
      mine += item.claims;
    if (checkpoint_now()) {
      std::lock_guard guard{mutex_};
      g.room = room_ - std::min<std::uint64_t>(room_, mine);
    }
  }
  if (n > g.room)
    return false;
  g.room -= n;
  claims += n;
  return true;
}

result<void> logged_store::append(group& g) {
  std::size_t bytes = 0;
  for (const auto& item : g.items)
    if (item.outcome && item.job.steps.size() != 0) {
      g.payload.push_back(item.job.steps.view());
      bytes += item.job.steps.size();
    }
  if (g.payload.empty())
    return {};
  if (!log_->has_place(bytes)) {
    if (auto ok = checkpoint_now(); !ok)
      return ok;
    // If there is still none, somebody copies the log.
    std::unique_lock lock{mutex_};
    for (const auto end = steady::now() + copy_patience;
         !log_->has_place(bytes) && steady::now() < end;)
      done_.wait_for(lock, copy_poll);
  }
  g.written = log_record_bytes(bytes);
  return log_->append(g.payload);
}

void logged_store::finish(group& g, const result<void>& kept, std::chrono::nanoseconds took) {
  if (kept && g.written != 0 && faults_ != nullptr)
    faults_->synced();
  {
    std::lock_guard guard{mutex_};
    last_group_entries_ = g.entries;
    if (g.written != 0 || !kept) {
      last_sync_ = took;
      last_append_ = steady::now();
      stats_.sync_time += took;
      stats_.sync_time_max = std::max(stats_.sync_time_max, took);
      stats_.written_bytes += kept ? g.written : 0;
      ++(kept ? stats_.syncs : stats_.failed_syncs);
    }
    for (auto& item : g.items) {
      if (item.outcome && !kept)
        item.outcome = kept;
      ++(item.outcome ? stats_.jobs : stats_.failed_jobs);
      if (!item.outcome || item.job.steps.size() == 0)
        continue;
      block_steps_ += item.job.steps.count();
      block_bytes_ += item.job.steps.size();
      block_claims_ += item.claims;
      blocks_.push_back(std::move(item.job.steps));
    }
  }
  for (auto& item : g.items)
    item.job.then(std::move(item.outcome), item.refused);
}

// -- checkpoints ----------------------------------------------------------------------------------

/// With the lock held.
void logged_store::share_blocks() {
  if (!blocks_.empty())
    shared_.push_back(
      std::make_shared<const std::vector<log_steps>>(std::exchange(blocks_, {})));
}

pending_changes logged_store::pending(const pending_changes::filter& wanted) {
  std::shared_ptr<const log_checkpoint> frozen;
  std::vector<log_blocks> since;
  {
    std::lock_guard guard{mutex_};
    share_blocks();
    frozen = frozen_;
    since = shared_;
  }
  return {std::move(frozen), std::move(since), wanted};
}

bool logged_store::checkpoint_due(steady::time_point now) const {
  if (running_ || (!frozen_ && !has_blocks()))
    return false;
  if (wanted_ > applied_)
    return true;
  return now >= retry_at_
         && (frozen_ || log_->bytes() >= options_.checkpoint_bytes
             || now >= last_append_ + options_.idle);
}

/// When one is due though nothing comes.
std::optional<logged_store::steady::time_point> logged_store::next_checkpoint() const {
  if (running_ || (!frozen_ && !has_blocks()))
    return std::nullopt;
  return frozen_ ? retry_at_ : std::max(retry_at_, last_append_ + options_.idle);
}

/// On the log's thread, which is the only one that adds to what is pending.
void logged_store::begin_checkpoint(std::unique_lock<std::mutex>& lock) {
  if (!frozen_) {
    log_checkpoint::source s;
    s.id = id_;
    s.end_value = options_.end_value;
    s.last_lsn = log_->last_lsn();
    share_blocks();
    s.blocks = std::exchange(shared_, {});
    s.claims = std::exchange(block_claims_, 0);
    frozen_steps_ = std::exchange(block_steps_, 0);
    frozen_bytes_ = std::exchange(block_bytes_, 0);
    frozen_ = std::make_shared<log_checkpoint>(std::move(s));
  }
  running_ = true;
  const auto what = frozen_;
  lock.unlock();
  what->run(*env_, *direct_,
            [this, began = steady::now()](const result<void>& r) { on_checkpoint(r, began); });
  lock.lock();
}

/// On the environment's writer.
void logged_store::on_checkpoint(const result<void>& r, steady::time_point began) {
  if (r)
    log_->applied(frozen_->last_lsn());
  const auto room = env_->room_for_data(plenty);
  std::shared_ptr<log_checkpoint> over; // much memory; goes when nobody waits for it
  {
    std::lock_guard guard{mutex_};
    const auto took = steady::now() - began;
    stats_.checkpoint_time += took;
    stats_.checkpoint_time_max
      = std::max<std::chrono::nanoseconds>(stats_.checkpoint_time_max, took);
    ++(r ? stats_.checkpoints : stats_.failed_checkpoints);
    running_ = false;
    room_ = room;
    if (r) {
      applied_ = frozen_->last_lsn();
      over = std::exchange(frozen_, nullptr);
      frozen_steps_ = 0;
      frozen_bytes_ = 0;
    } else {
      ++failures_;
      last_failure_ = r;
      wanted_ = 0;
      retry_at_ = steady::now() + options_.retry;
    }
  }
  work_.notify_one();
  done_.notify_all();
}

/// On the log's thread. Brings over what is pending, what was frozen before first.
result<void> logged_store::checkpoint_now() {
  std::unique_lock lock{mutex_};
  for (int round = 0; round < 2; ++round) {
    done_.wait(lock, [this] { return !running_; });
    if (!frozen_ && !has_blocks())
      return {};
    const auto seen = failures_;
    begin_checkpoint(lock);
    done_.wait(lock, [this] { return !running_; });
    if (failures_ != seen)
      return last_failure_;
  }
  return {};
}

result<void> logged_store::settle() {
  std::unique_lock lock{mutex_};
  const auto target = std::max(log_->last_lsn(), applied_);
  while (applied_ < target) {
    const auto seen = failures_;
    wanted_ = std::max(wanted_, target);
    work_.notify_one();
    done_.wait(lock, [&] { return applied_ >= target || failures_ != seen; });
    if (failures_ != seen)
      return last_failure_;
  }
  return {};
}

std::uint64_t logged_store::raised(table in, byte_view key) {
  std::lock_guard guard{mutex_};
  if (!frozen_)
    return 0;
  for (const auto& s : frozen_->changes().all())
    if (s.op == log_op::raise && s.to == in && std::ranges::equal(s.key, key))
      return load<std::uint64_t>(s.value);
  return 0;
}

log_stats logged_store::stats() const {
  std::lock_guard guard{mutex_};
  auto out = stats_;
  out.bytes = log_->bytes();
  out.bytes_max = log_->bytes_max();
  out.segments = log_->segments();
  out.pending_steps = block_steps_ + frozen_steps_;
  out.pending_bytes = block_bytes_ + frozen_bytes_;
  out.queued_jobs = queue_.size();
  out.queued_bytes = queue_bytes_;
  out.queued_bytes_max = options_.queue_bytes_max;
  return out;
}

} // namespace ron::core::store
